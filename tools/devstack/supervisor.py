"""Watching what runs: tell the run file, bring arq back, give up when anything else dies."""

import time
from collections.abc import Callable
from typing import Any

import redis

from tools.devstack.family import Family
from tools.devstack.process import Child, ChildError
from tools.devstack.product import Product
from tools.devstack.registry import Server, living_servers
from tools.devstack.runfile import RunFile
from tools.devstack.terminal import say

LOOK_SECONDS = 0.1
REPORT_SECONDS = 0.5
CALM_SECONDS = 30.0
LONGEST_BACKOFF = 8.0


class Background:
    """The arq process. It ends by design when Redis goes away, so it is started again, each time a bit later."""

    def __init__(self, product: Product, family: Family) -> None:
        self._product, self._family = product, family
        self._backoff = 0.5
        self._start_at = 0.0
        self.child = self._start()

    def _start(self) -> Child:
        self._started = time.monotonic()
        return self._family.add(self._product.background())

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
        """``run`` is what the run file tells, but for ``servers`` and ``worker``."""
        self._run, self._file, self._sanic, self._background = run, file, sanic, background
        self._servers: list[Server] = []

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
        """Bring the run file up to date; how many servers live. With Redis away it tells the last known that live."""
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
