"""How a worker stops: accept nothing more, close the connections in order, and only then let Sanic cut the rest."""

import asyncio
import contextlib
import multiprocessing
import signal
from collections.abc import Awaitable, Callable

import structlog
from sanic import Request

from protocol.errors import DRAINING, ApiError
from server.application import MiniSanic
from server.loop import stop_accepting
from server.websocket.accepted_socket import GRACE_SECONDS, AcceptedSocket
from settings import Settings

logger = structlog.get_logger(__name__)


def add_drain(app: MiniSanic, settings: Settings, close_connections: Callable[[], Awaitable[None]]) -> None:
    """Run ``close_connections`` when the worker stops, for at most ``drain_seconds``.

    It closes every socket (4012) and returns when their work is done; sockets it left open are closed with 4012 after
    it. New requests on open connections get 503 ``draining`` meanwhile.

    Order matters: Sanic runs stop listeners in reverse order of registration, so what closes resources belongs in
    ``after_server_stop``. Tasks of ``app.add_task`` are cancelled before any of this.
    """
    drain = Drain(app, settings.drain_seconds, close_connections)
    app.ctx.drain = drain
    app.register_middleware(drain.refuse, "request", priority=999)
    app.before_server_stop(drain.run)


class Drain:
    """The end of one worker."""

    def __init__(self, app: MiniSanic, seconds: float, close_connections: Callable[[], Awaitable[None]]) -> None:
        self._app = app
        self._seconds = seconds
        self._close_connections = close_connections
        self._task: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether this worker goes down."""
        return self._task is not None

    async def refuse(self, _request: Request) -> None:
        """Request middleware.

        :raises ApiError: ``draining``
        """
        if self.begun:
            raise ApiError("draining")

    async def run(self, _app: MiniSanic) -> None:
        """Drain. Sanic may call its stop listeners twice (when a signal comes in between): once counts."""
        if self._task is None:
            _ignore_signals()
            self._app.ctx.open_connections.refuse_new()
            self._task = asyncio.get_running_loop().create_task(self._drain())
        await asyncio.shield(self._task)

    async def _drain(self) -> None:
        stop_accepting()
        try:
            async with asyncio.timeout(self._seconds):
                await self._close_connections()
        except TimeoutError:
            logger.warning("drain took too long", seconds=self._seconds)
        except Exception:
            logger.exception("drain failed")
        await self._end_rest()

    async def _end_rest(self) -> None:
        rest = [s for s in self._app.ctx.heartbeat.sockets() if isinstance(s, AcceptedSocket)]
        for socket in rest:
            socket.close(DRAINING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await asyncio.gather(*(socket.wait_lost() for socket in rest))
        for socket in rest:
            socket.close_now(DRAINING, 0)


def _ignore_signals() -> None:
    # Sanic has taken its handlers off by now: a second signal, as a terminal's Ctrl-C sends, would break the drain.
    if multiprocessing.parent_process() is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
