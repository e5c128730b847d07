"""The product as a black box: real ``sanic`` and ``arq`` processes on an environment."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tools.devstack.probe import free_port, http_status
from tools.devstack.process import Child, wait_until
from tools.devstack.product import ServerProcess, living_servers

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
READY_SECONDS = 90.0
STOP_SECONDS = 15.0
ASK_SECONDS = 0.05


class ServerGroup:
    """One ``sanic app`` with its worker processes, on a port of its own."""

    def __init__(self, env: Mapping[str, str], workers: int, log: Path) -> None:
        self.env = dict(env)
        self.workers = workers
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}"
        command = [BIN / "sanic", "app", "--host", "127.0.0.1", "--port", str(self.port), "--workers", str(workers)]
        self.child = Child("sanic", command, log=log, env=self.env, cwd=ROOT)
        self.pid = self.child.pid

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Until it answers and every worker has registered.

        :raises ChildError: when it does not
        """
        self.child.await_ready(self._is_ready, seconds)

    def _is_ready(self) -> bool:
        time.sleep(ASK_SECONDS)  # what starts needs the processor more than who waits for it
        return http_status(f"{self.url}/ready") == 200 and len(self.servers) >= self.workers

    @property
    def servers(self) -> list[ServerProcess]:
        """The living workers."""
        return living_servers(self.env["REDIS_URL"], self.pid)

    @property
    def pids(self) -> list[int]:
        """Of the living workers."""
        return [server.pid for server in self.servers]

    def kill_worker(self, pid: int) -> None:
        """kill -9 one worker."""
        os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """kill -9 of everything in it."""
        self.child.kill()

    def terminate(self, seconds: float = STOP_SECONDS) -> int:
        """One SIGTERM, and wait for the end; the exit code."""
        return self.child.stop(seconds)

    def log_text(self) -> str:
        """Everything it logged."""
        return self.child.log.read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def harmless_log(self) -> Iterator[None]:
        """What happens meanwhile leaves no traceback, no secret and no chat (they say "hello") in the log."""
        before = len(self.log_text())
        yield
        logged = self.log_text()[before:]
        assert "Traceback" not in logged, logged
        assert "hello" not in logged
        assert self.env["JWT_SECRET"] not in logged


class Stack:
    """Makes server groups and workers that share one environment; closes what is left of them."""

    def __init__(self, env: Mapping[str, str], logs: Path) -> None:
        self.env = dict(env)
        self._logs = logs
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def start(self, workers: int = 2, **changes: str) -> ServerGroup:
        """Another server group, ready to use; ``changes`` are further environment variables."""
        group = self.launch(workers, **changes)
        group.wait_ready()
        return group

    def launch(self, workers: int = 2, **changes: str) -> ServerGroup:
        """The same without waiting."""
        group = ServerGroup({**self.env, **changes}, workers, self._logs / f"sanic-{len(self._children)}.log")
        self._children.append(group.child)
        return group

    def worker(self, **changes: str) -> Child:
        """An ``arq`` process doing the background jobs."""
        log = self._logs / f"arq-{len(self._children)}.log"
        child = Child("arq", [BIN / "arq", "workers.WorkerSettings"], log=log, env={**self.env, **changes}, cwd=ROOT)
        self._children.append(child)
        return child

    def close(self) -> None:
        """End everything, all at once."""
        living = [child for child in self._children if child.alive()]
        for child in living:
            child.signal()
        wait_until(lambda: not any(child.alive() for child in living), STOP_SECONDS)
        for child in self._children:
            child.wait(0)
