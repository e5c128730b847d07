"""One group of Sanic processes (and arq, unless we join others): started, watched, stopped."""

import os
import shlex
import time
from collections.abc import Callable
from typing import Any

import redis

from tools.devstack.options import Options
from tools.devstack.probe import free_port, http_status, port_is_free
from tools.devstack.process import Child, ChildError, birth
from tools.devstack.product import Product, ServerProcess, living_servers
from tools.devstack.runfile import ChildRegistry, RunFile
from tools.devstack.terminal import say

LOOK_SECONDS = 0.1
REPORT_SECONDS = 0.5
CALM_SECONDS = 30.0
LONGEST_BACKOFF = 8.0


class Background:
    """The arq process. It ends by design when Redis goes away, so it is started again, each time a bit later."""

    def __init__(self, product: Product, registry: ChildRegistry) -> None:
        self._product, self._registry = product, registry
        self._backoff = 0.5
        self._start_at = 0.0
        self.child = self._start()

    def _start(self) -> Child:
        self._started = time.monotonic()
        return self._registry.add(self._product.background())

    def look(self) -> None:
        """Start it again when it has ended and its time has come."""
        now = time.monotonic()
        if self.child.alive():
            self._start_at = 0.0
        elif not self._start_at:
            self.child.wait(0)
            self._backoff = 0.5 if now - self._started > CALM_SECONDS else min(self._backoff * 2, LONGEST_BACKOFF)
            self._start_at = now + self._backoff
            code = self.child.process.returncode
            say(f"  arq        ended (code {code}), starts again in {self._backoff:g} s; log: {self.child.log}")
        elif now >= self._start_at:
            self._start_at = 0.0
            self.child = self._start()


class Supervisor:
    """Keeps the run file true until something ends."""

    def __init__(self, run: dict[str, Any], file: RunFile, sanic: Child, background: Background | None) -> None:
        """``run`` is what the run file says, but for ``servers`` and ``worker``."""
        self._run, self._file, self._sanic, self._background = run, file, sanic, background
        self._servers: list[ServerProcess] = []

    def watch(self, vital: Callable[[], None]) -> None:
        """Until ``vital`` raises, which looks whether all that must live does.

        :raises ChildError: what ``vital`` raised
        """
        next_report = 0.0
        while True:
            vital()
            if self._background:
                self._background.look()
            if time.monotonic() >= next_report:
                self.report()
                next_report = time.monotonic() + REPORT_SECONDS
            time.sleep(LOOK_SECONDS)

    def report(self) -> int:
        """Bring the run file up to date; how many servers live. With Redis away it names the last known that live."""
        try:
            self._servers = living_servers(self._run["redis_url"], self._sanic.pid)
        except redis.RedisError:
            self._servers = [server for server in self._servers if server.lives()]
        servers = [{"serverId": server.server_id, "pid": server.pid} for server in self._servers]
        worker = {"pid": self._background.child.pid} if self._background else None
        self._file.update({**self._run, "servers": servers, "worker": worker})
        return len(servers)


def must_live(*children: Child) -> None:
    """Check that they do.

    :raises ChildError: with the last words of the first that does not
    """
    for child in children:
        if not child.alive():
            raise ChildError(
                f"{child.name} ended (code {child.process.returncode}), so everything stops. "
                f"Its last words ({child.log}):\n{child.last_words()}"
            )


READY_SECONDS = 60.0
ARQ_SECONDS = 5.0
BEYOND_DRAIN_SECONDS = 5.0
DEFAULT_DRAIN_SECONDS = 5.0
PORTS_TO_TRY = 20


def choose_port(options: Options) -> int:
    """The port wished for, or the next free one, saying so."""
    wished = range(options.port, min(options.port + PORTS_TO_TRY, 65536))
    port = next((port for port in wished if port_is_free(options.host, port)), None) or free_port(options.host)
    if port != options.port:
        say(f"  port       {options.port} is taken, so {port}")
    return port


def _reachable(host: str) -> str:
    """How this machine reaches a server listening on ``host``."""
    plain = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not listening
    return f"[{plain}]" if ":" in plain else plain


class Serving:
    """``joined`` is the launcher whose storage we use, when it is not ours."""

    def __init__(
        self,
        options: Options,
        port: int,
        product: Product,
        registry: ChildRegistry,
        file: RunFile,
        joined: int | None = None,
        announce: Callable[[str], None] | None = None,
    ) -> None:
        """``announce`` is called with the address when people can come, and says so."""
        self._options, self._port, self._product, self._registry = options, port, product, registry
        self._file, self._joined = file, joined
        self._joined_born = birth(joined) if joined else None
        self._url = f"http://{_reachable(options.host)}:{port}"
        self._announce = announce or self._announce_product

    def run(self, facts: dict[str, Any]) -> None:
        """Serve until something ends; ``facts`` are more for the run file.

        :raises ChildError: when a process died that must live
        """
        name = f"app.{self._port}" if self._joined else "app"
        servers = self._product.servers(self._options.host, self._port, self._options.workers, name)
        sanic = self._registry.add(servers)
        background = None
        try:
            sanic.await_ready(lambda: http_status(f"{self._url}/ready") == 200, READY_SECONDS)
            if not self._joined:  # only now: until here it would but take time from what people wait for
                background = Background(self._product, self._registry)
            supervisor = Supervisor(self._facts(facts), self._file, sanic, background)
            sanic.await_ready(lambda: supervisor.report() >= self._options.workers, READY_SECONDS)
            self._announce(self._url)
            say(f"  logs       {self._product.logs}")
            say("  stop       Ctrl-C")
            supervisor.watch(self._check)
        finally:
            say("\nStopping …")
            self._file.remove()
            self._stop(sanic, background)

    def _facts(self, more: dict[str, Any]) -> dict[str, Any]:
        env = self._product.env
        storage = {"redis_url": env["REDIS_URL"], "database_url": env["DATABASE_URL"]}
        return {"pid": os.getpid(), "port": self._port, "url": self._url, **storage, **more}

    def _announce_product(self, url: str) -> None:
        say(f"\nWhatsApp Mini runs. Open it in two browser windows, one of them private:\n\n    {url}/\n")
        if not self._joined:
            say(f"  data       {self._options.data} (survives restarts)")
            say(f"  more       python3 run.py --join {shlex.quote(str(self._options.data))} adds a second server")

    def _check(self) -> None:
        must_live(*self._registry.others_than("arq"))
        if self._joined and birth(self._joined) != self._joined_born:
            raise ChildError("The instance joined has ended, and its storage with it.")

    def _stop(self, sanic: Child, background: Background | None) -> None:
        """Sanic gets exactly one SIGTERM (a second breaks its graceful stop); arq stops meanwhile."""
        sanic.signal()
        if background:
            background.child.stop(ARQ_SECONDS)
        sanic.wait(self._drain_seconds() + BEYOND_DRAIN_SECONDS)

    def _drain_seconds(self) -> float:
        try:
            return float(self._product.env["DRAIN_SECONDS"])
        except (KeyError, ValueError):  # a wrong one the product itself refuses, with a better message than ours
            return DEFAULT_DRAIN_SECONDS
