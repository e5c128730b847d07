"""The Sanic application, with every default of Sanic's that does not suit a public chat server changed."""

import asyncio
import gc
import re
import secrets
import socket
import sys
from typing import Any, ClassVar, Final

import msgspec
import tracerite
from sanic import Sanic
from sanic.config import Config
from sanic.server.async_server import AsyncioServer

from server import watchdog
from server.fast_upgrade import CONCURRENT_UPGRADES, ConcurrencyLimiter, FastUpgradeProtocol
from server.http_head import MAX_HEAD_BYTES
from server.idle_connections import IdleConnections, OpenFilesWatch
from server.loop import ServerLoopPolicy
from server.websocket.heartbeat import Heartbeat
from server.websocket.open_connections import OpenConnections
from settings import Settings
from settings.logs import configure, log_config

BACKLOG: Final = 4096
"""Connections the kernel holds for us. With Sanic's 100, a storm of reconnects waits for seconds in SYN retries."""
SETTLE_SECONDS: Final = 1.0
_NOT_IN_SERVER_ID: Final = re.compile(r"[^A-Za-z0-9._-]+")
GC_THRESHOLDS: Final = (10_000, 10, 20)


class MiniSanic(Sanic[Config, Any]):
    """Sanic with our protocol class, backlog and event loop, however it is started."""

    _rewritten_for: ClassVar[set[str]] = set()

    def prepare(self, *args: Any, **kwargs: Any) -> None:
        """As Sanic's; the ``sanic`` command has no options for what is set here."""
        kwargs["motd"] = False  # it is not a line of JSON
        super().prepare(*args, **self._ours(kwargs))

    async def create_server(self, *args: Any, **kwargs: Any) -> AsyncioServer | None:
        """As Sanic's: for tests, inside a loop that runs already."""
        # At start Sanic rewrites its own methods from their source for the signals there are, which works once per
        # process except in this mode, and takes longer than all else at a start.
        Sanic.test_mode = True
        signals = {str(signal.name) for signal in self.signal_router.routes}
        self.config.TOUCHUP = signals != MiniSanic._rewritten_for
        MiniSanic._rewritten_for = signals
        return await super().create_server(*args, **self._ours(kwargs))

    def setup_loop(self) -> None:
        """Called by Sanic in each process before it makes its loop."""
        super().setup_loop()
        asyncio.set_event_loop_policy(ServerLoopPolicy())

    @staticmethod
    def _ours(kwargs: dict[str, Any]) -> dict[str, Any]:
        return kwargs | {
            "protocol": kwargs.get("protocol") or FastUpgradeProtocol,
            "backlog": kwargs.get("backlog") or BACKLOG,
        }


def make_app(name: str, settings: Settings) -> MiniSanic:
    """An application without routes.

    In each worker ``app.ctx`` has ``server_id``, ``heartbeat``, ``open_connections``, ``idle_connections``, and for
    server.fast_upgrade ``authenticate`` and ``upgrade_limiter``.

    sanic-ext is not switched on (AUTO_EXTEND): it would cost a fifth of the request rate for things not used here.
    """
    tracerite.unload()  # the `sanic` command loads it, and its drawn tracebacks are not one line of JSON
    if sys.platform == "linux":
        # Sanic's default, "spawn", makes each worker import everything anew. Elsewhere forking is not safe.
        Sanic.start_method = "fork"
    configure(settings.log_level)
    app = MiniSanic(
        name,
        config=_config(settings),
        log_config=log_config(settings.log_level),
        loads=msgspec.json.decode,  # Sanic's ujson lets lone surrogates and NaN through
        dumps=msgspec.json.encode,
    )
    # Sanic's own stop listener cancels all sockets at once. Stop listeners run in reverse order, so it goes in first.
    app.enable_websocket()
    app.ctx.heartbeat = Heartbeat(settings.ping_seconds)
    app.ctx.open_connections = OpenConnections(settings, app.ctx.heartbeat)
    app.ctx.idle_connections = IdleConnections(settings.idle_connections)
    app.ctx.open_files_watch = OpenFilesWatch(app.ctx.idle_connections)
    app.ctx.authenticate = None
    app.ctx.upgrade_limiter = ConcurrencyLimiter(CONCURRENT_UPGRADES)
    app.main_process_ready(_prepare_fork)
    app.before_server_start(_begin)
    app.after_server_start(_settle_memory_soon)
    app.after_server_stop(_finish)
    watchdog.install(app)
    return app


def _config(settings: Settings) -> Config:
    return Config(
        {
            "ACCESS_LOG": False,
            "AUTO_EXTEND": False,
            "FALLBACK_ERROR_FORMAT": "json",
            "GRACEFUL_SHUTDOWN_TIMEOUT": settings.drain_seconds + 1,
            "KEEP_ALIVE_TIMEOUT": settings.keep_alive_seconds,
            "MOTD": False,
            "NO_COLOR": True,
            "PROXIES_COUNT": settings.proxies or None,
            "REQUEST_MAX_HEADER_SIZE": MAX_HEAD_BYTES,
            "REQUEST_MAX_SIZE": 64 * 1024,
            "REQUEST_TIMEOUT": 10,
            "RESPONSE_TIMEOUT": 10,
        }
    )


async def _begin(app: MiniSanic) -> None:
    # Outside of a worker process (tests, --single-process) there is no `m`.
    worker = app.m.name if hasattr(app, "multiplexer") else ""
    app.ctx.server_id = make_server_id(worker)
    app.ctx.heartbeat.start()
    app.ctx.open_files_watch.start()


def _prepare_fork(_app: MiniSanic) -> None:
    """Workers are forked from here on, anew also when one died: they share the memory of what was imported."""
    gc.collect()
    gc.freeze()


async def _settle_memory_soon(_app: MiniSanic) -> None:
    # Not at once: Sanic counts a worker as up only after this, and a stop that comes before waits for it for long.
    asyncio.get_running_loop().call_later(SETTLE_SECONDS, _settle_memory)


def _settle_memory() -> None:
    """What exists now lives as long as the worker: the collector need not look at it again, and seldom at the rest,
    since hardly anything of ours forms circles. Left alone it takes 5 % of a busy worker's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _finish(app: MiniSanic) -> None:
    app.ctx.open_files_watch.stop()
    app.ctx.heartbeat.stop()


def make_server_id(worker: str) -> str:
    """Which worker process, in this run of it: ``<host>.<worker>.<random>`` in ``A-Z a-z 0-9 . _ -``, up to 90 long.

    Host and worker are for people who read logs; only the random part tells two runs apart, because Sanic gives its
    workers the same names on every host and after every restart.

    :param worker: Sanic's name of the worker process, empty outside of one
    """
    parts = (socket.gethostname()[:40], worker[:40] or "alone")
    return ".".join([*(_NOT_IN_SERVER_ID.sub("-", part) for part in parts), secrets.token_hex(4)])
