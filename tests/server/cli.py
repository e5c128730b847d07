"""A throwaway application, started as production starts it: by the `sanic` command, in processes of its own."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.server.support import NO_TLS
from tools.devstack.probe import free_port

ROOT = Path(__file__).parents[2]

MODULE = """
import asyncio, os
from protocol.errors import DRAINING
from sanic.response import json
from server.application import make_app
from server.drain import add_drain
from server.sanic_upgrade import add_websockets
from tests.server.support import Echo, make_settings

settings = make_settings(drain_seconds=float(os.environ.get("DRAIN", "2")))
app = make_app("throwaway", settings)
open_ = set()

class Counted(Echo):
    def handle_violation(self):
        pass

    def handle_lost(self, code, reason):
        open_.discard(self)

def attach(socket):
    echo = Counted(socket)
    open_.add(echo)
    socket.attach(echo)

async def authenticate(upgrade, address, *, fast):
    return attach

async def close_connections():
    await asyncio.sleep(float(os.environ.get("WORK", "0")))
    for echo in list(open_):
        echo.socket.close(DRAINING)
    while open_:
        await asyncio.sleep(0.01)

@app.get("/")
async def who(request):
    return json({"pid": os.getpid(), "serverId": app.ctx.server_id})

@app.get("/fail")
async def fail(request):
    raise RuntimeError("failed at " + request.url)

@app.main_process_start
async def slow_start(app):
    await asyncio.sleep(float(os.environ.get("MAIN_START", "0")))

@app.before_server_start
async def slow_worker(app):
    await asyncio.sleep(float(os.environ.get("WORKER_START", "0")))

add_drain(app, settings, close_connections)
add_websockets(app, authenticate)
"""


OTHERS = 1 if sys.platform == "linux" else 2
"""Processes beside the workers: Sanic's state process and, where workers are not forked, multiprocessing's tracker."""


class Command:
    """The running command and all that it started."""

    def __init__(self, folder: Path, workers: int, environment: dict[str, str]) -> None:
        (folder / "throwaway.py").write_text(MODULE)
        self.port = free_port()
        self.count = workers
        self.log = folder / "log"
        # The script and not `-m sanic`: spawned workers import it, and with it what it patches.
        sanic = str(Path(sys.executable).with_name("sanic"))
        command = [sanic, "throwaway", f"--workers={workers}", f"--port={self.port}"]
        environment = os.environ | {"PYTHONPATH": f"{folder}:{ROOT}"} | environment
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.main = psutil.Process(self.process.pid)
        self.seen: set[psutil.Process] = {self.main}

    def wait_until_up(self) -> None:
        """All workers answer."""
        self.wait(lambda: len(self.workers()) == self.count, 20)

    def children(self) -> int:
        """How many processes the manager has by now."""
        self.seen |= set(self.main.children(recursive=True))
        return len(self.seen) - 1

    def who(self) -> dict[str, Any]:
        """Which worker answers, on a fresh connection."""
        answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.port}/", timeout=1, verify=NO_TLS).json()
        return answer

    def workers(self) -> dict[int, str]:
        """The workers that answer: pid and serverId."""
        found: dict[int, str] = {}
        with contextlib.suppress(httpx.TransportError):
            for _ in range(60):  # the kernel chooses who answers
                who = self.who()
                found[who["pid"]] = who["serverId"]
                if len(found) == self.count:
                    break
        with contextlib.suppress(psutil.NoSuchProcess):
            self.seen |= set(self.main.children(recursive=True))
        return found

    def alive(self) -> list[psutil.Process]:
        """What runs still, of all that was ever seen."""
        return [p for p in self.seen if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def catches_sigterm(self) -> bool:
        """Whether the main process has a handler for SIGTERM by now."""
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{self.main.pid}/status").read_text(), re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)

    def url(self, rest: str = "/") -> str:
        return f"ws://127.0.0.1:{self.port}{rest}"

    def lines(self) -> list[dict[str, Any]]:
        """The log; every line must be a JSON object."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self) -> int:
        """SIGTERM, once; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def wait(self, condition: Callable[[], bool], seconds: float) -> float:
        """Wait for it; how long it took."""
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > seconds:
                raise TimeoutError(self.log.read_text())
            time.sleep(0.02)
        return time.monotonic() - started

    async def wait_in_thread(self, condition: Callable[[], bool], seconds: float) -> float:
        """The same, while clients live on in this loop."""
        return await asyncio.to_thread(self.wait, condition, seconds)


@contextlib.contextmanager
def running(folder: Path, workers: int = 2, up: bool = True, **environment: str) -> Iterator[Command]:
    """The command, and nothing left of it afterwards; not ``up``: just begun."""
    command = Command(folder, workers, environment)
    try:
        if up:
            command.wait_until_up()
        yield command
    finally:
        for process in command.alive():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        command.process.wait(5)
