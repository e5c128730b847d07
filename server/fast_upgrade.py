"""The first protocol of every TCP connection: it accepts plain upgrades, and leaves everything else to Sanic.

A request of Sanic's, with its task, its router and its middleware, costs more than all the rest of a reconnect. So a
WebSocket that asks for nothing unusual, and that the authenticator accepts, is accepted from here. Nothing is refused
here: every other connection goes on with Sanic's protocol as if this one did not exist, and gets its answer there.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
import structlog

from protocol.errors import ApiError
from server.addresses import forwarded_address
from server.http_head import MAX_HEAD_BYTES
from server.sanic_upgrade import Attach, Authenticate, SanicUpgradeProtocol, accept_socket, attaching
from server.upgrade_request import UpgradeRequest, find_plain_upgrade
from server.websocket.open_connections import OpenConnections

logger = structlog.get_logger(__name__)

TIMEOUT_SECONDS: Final = 2.0
"""After which a client that sent no request, or an authentication that has no answer, is left to Sanic's timeouts."""
REFUSAL_SECONDS: Final = 1.0
"""How long one connection too many waits for its answer."""
CONCURRENT_UPGRADES: Final = 64


def _refusal_response(refusal: ApiError) -> bytes:
    """A whole HTTP answer, for a client that is not read."""
    body = msgspec.json.encode(refusal.body() | {"retryAfter": refusal.retry_after})
    head = (
        f"HTTP/1.1 {refusal.spec.status} Too Many Requests\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: {refusal.retry_after}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


TOO_MANY_CONNECTIONS: Final = _refusal_response(ApiError("too_many_connections"))


class Waiter(Protocol):
    """What waits for its turn at a :class:`ConcurrencyLimiter`."""

    def begin(self) -> None:
        """It has its turn, and calls :meth:`ConcurrencyLimiter.release` when it is done."""

    def give_up(self) -> None:
        """It gets no turn."""


class ConcurrencyLimiter:
    """So many at a time, the others in the order they came.

    When thousands come at once, all would be half done for seconds, and each would run into its client's timeout. With
    few under way each takes milliseconds, the first to come is the first to be done, and waiting costs nothing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._active: set[Waiter] = set()
        self._waiting: deque[Waiter] = deque()
        self._is_starting = False

    def acquire(self, waiter: Waiter) -> None:
        """Call :meth:`Waiter.begin`: at once when there is room, or later."""
        self._waiting.append(waiter)
        self._start_next()

    def release(self, waiter: Waiter) -> None:
        """It is done; a no-op for one that is not active, so one that still waits gets its turn all the same."""
        if waiter in self._active:
            self._active.remove(waiter)
            self._start_next()

    def reject_waiting(self) -> None:
        """All that wait get no turn."""
        waiting, self._waiting = self._waiting, deque()
        for waiter in waiting:
            waiter.give_up()

    def _start_next(self) -> None:
        if self._is_starting:
            return  # one was done at once: the loop below goes on, instead of calling itself ever deeper
        self._is_starting = True
        try:
            while self._waiting and len(self._active) < self._limit:
                waiter = self._waiting.popleft()
                self._active.add(waiter)
                waiter.begin()
        finally:
            self._is_starting = False


class FastUpgradeProtocol(asyncio.Protocol):
    """Made by Sanic's server for each connection, with the arguments of its own protocol class."""

    __slots__ = (
        "_address", "_connections", "_ctx", "_pending_address", "_received", "_sanic", "_task", "_timer", "_transport",
        "_upgrade",
    )  # fmt: skip

    def __init__(self, **sanic: Any) -> None:
        self._sanic = sanic
        self._ctx = sanic["app"].ctx
        self._connections: set[Any] = sanic["connections"]
        self._transport: asyncio.Transport | None = None
        """None before the connection is made, and when it is no longer this protocol's."""
        self._received = b""
        self._upgrade: UpgradeRequest | None = None
        self._address = ""
        self._pending_address = ""
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # ---- what the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        address = _peer_address(transport)
        connections: OpenConnections = self._ctx.open_connections
        if not connections.add_pending(address):
            # A refusal at once would be answered by the next attempt; but not many are kept waiting either.
            transport.pause_reading()
            seconds = connections.begin_refusal(REFUSAL_SECONDS)
            self._sanic["loop"].call_later(seconds, self._refuse, transport)
            return
        self._pending_address = address
        self._transport = transport
        self._connections.add(self)
        self._set_timer(self._leave_to_sanic)

    def _refuse(self, transport: asyncio.Transport) -> None:
        self._ctx.open_connections.end_refusal()
        if not transport.is_closing():
            transport.write(TOO_MANY_CONNECTIONS)
            transport.close()

    def data_received(self, data: bytes) -> None:
        """The client's request; or, while it is authenticated, the first frames of one that does not wait for us."""
        if self._transport is None:
            return  # refused
        self._received += data
        if self._upgrade is None:
            self._read_request()
        elif len(self._received) > 2 * MAX_HEAD_BYTES:
            self._leave_to_sanic()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client left."""
        self._remove_pending()
        self._let_go()

    # ---- what a stopping Sanic calls for each of its connections

    def close_if_idle(self) -> bool:
        """A connection that is not yet accepted comes too late."""
        self.abort()
        return True

    def abort(self) -> None:
        """Cut TCP. The transport then calls :meth:`connection_lost`."""
        if self._transport is not None:
            self._transport.abort()

    # ---- accepting

    def _read_request(self) -> None:
        upgrade = find_plain_upgrade(self._received) if self._ctx.authenticate is not None else None
        address = None if upgrade is None else self._client_address(upgrade)
        if address is None:
            self._leave_to_sanic()
        else:
            self._upgrade, self._address = upgrade, address
            self._set_timer(None)
            self._ctx.upgrade_limiter.acquire(self)

    def _client_address(self, upgrade: UpgradeRequest) -> str | None:
        """The client's address; None when the proxies do not say it."""
        proxies: int = self._ctx.open_connections.proxies
        if proxies:
            return forwarded_address(upgrade.forwarded, proxies)
        return "" if self._transport is None else _peer_address(self._transport)

    def begin(self) -> None:
        """It has its turn to be authenticated."""
        if self._transport is None or self._upgrade is None:
            self._ctx.upgrade_limiter.release(self)  # the client left while it waited
            return
        self._set_timer(self._time_out)
        self._task = self._sanic["loop"].create_task(self._authenticate(self._upgrade))

    def give_up(self) -> None:
        """It gets no turn."""
        self._leave_to_sanic()

    def _time_out(self) -> None:
        self._leave_to_sanic()
        self._ctx.upgrade_limiter.reject_waiting()

    async def _authenticate(self, upgrade: UpgradeRequest) -> None:
        authenticate: Authenticate = self._ctx.authenticate
        attach = None
        try:
            attach = await authenticate(upgrade, self._address, fast=True)
            self._ctx.open_connections.check_limit(self._address)
        except ApiError:
            attach = None  # Sanic's path refuses it as well, with the answer
        except Exception:
            logger.exception("an upgrade could not be authenticated")
        self._task = None
        if attach is None:
            self._leave_to_sanic()
        else:
            self._accept(upgrade, attach)

    def _accept(self, upgrade: UpgradeRequest, attach: Attach) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._remove_pending()
        self._let_go()
        transport.write(upgrade.response)
        early = self._received[upgrade.size :]
        socket = accept_socket(transport, self._ctx.open_connections, self._connections, self._address, early)
        with attaching(socket):
            attach(socket)

    def _leave_to_sanic(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._let_go()
        protocol = SanicUpgradeProtocol(**self._sanic)
        protocol.pending_address, self._pending_address = self._pending_address, ""
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._received:
            protocol.data_received(self._received)

    def _let_go(self) -> None:
        """The connection is no longer this protocol's."""
        self._transport = None
        self._connections.discard(self)
        self._set_timer(None)
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._ctx.upgrade_limiter.release(self)

    def _set_timer(self, then: Callable[[], None] | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if then is None else self._sanic["loop"].call_later(TIMEOUT_SECONDS, then)

    def _remove_pending(self) -> None:
        address, self._pending_address = self._pending_address, ""
        if address:
            self._ctx.open_connections.remove_pending(address)


def _peer_address(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""
