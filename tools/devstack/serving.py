"""One group of Sanic processes (and arq, unless we join others), from start to stop."""

import os
import shlex
from typing import Any

from tools.devstack.family import Family
from tools.devstack.options import Options
from tools.devstack.probe import free_port, http_status, port_is_free
from tools.devstack.process import Child, ChildError, birth
from tools.devstack.product import Product
from tools.devstack.runfile import RunFile
from tools.devstack.supervisor import Background, Supervisor, must_live
from tools.devstack.terminal import say

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
        self, options: Options, port: int, product: Product, family: Family, file: RunFile, joined: int | None = None
    ) -> None:
        self._options, self._port, self._product, self._family = options, port, product, family
        self._file, self._joined = file, joined
        self._joined_born = birth(joined) if joined else None
        self._url = f"http://{_reachable(options.host)}:{port}"

    def run(self, facts: dict[str, Any]) -> None:
        """Serve until something ends; ``facts`` are more for the run file.

        :raises ChildError: when a process died that must live
        """
        name = f"app.{self._port}" if self._joined else "app"
        servers = self._product.servers(self._options.host, self._port, self._options.workers, name)
        sanic = self._family.add(servers)
        background = None
        try:
            sanic.await_ready(lambda: http_status(f"{self._url}/ready") == 200, READY_SECONDS)
            if not self._joined:  # only now: until here it would but take time from what people wait for
                background = Background(self._product, self._family)
            supervisor = Supervisor(self._facts(facts), self._file, sanic, background)
            sanic.await_ready(lambda: supervisor.report() >= self._options.workers, READY_SECONDS)
            self._announce()
            supervisor.watch(self._check)
        finally:
            say("\nStopping …")
            self._file.remove()
            self._stop(sanic, background)

    def _facts(self, more: dict[str, Any]) -> dict[str, Any]:
        env = self._product.env
        storage = {"redis_url": env["REDIS_URL"], "database_url": env["DATABASE_URL"]}
        return {"pid": os.getpid(), "port": self._port, "url": self._url, **storage, **more}

    def _announce(self) -> None:
        say(f"\nWhatsApp Mini runs. Open it in two browser windows:\n\n    {self._url}/\n")
        if not self._joined:
            say(f"  data       {self._options.data} (survives restarts)")
            say(f"  more       python3 run.py --join {shlex.quote(str(self._options.data))} adds a second server")
        say(f"  logs       {self._product.logs}")
        say("  stop       Ctrl-C")

    def _check(self) -> None:
        must_live(*self._family.others_than("arq"))
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
