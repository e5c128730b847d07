"""The first protocol of every TCP connection: lets plain upgrades in, and leaves all else to Sanic.

A request of Sanic's, with its task, its router and its middleware, costs more than all the rest of a reconnect. So a
WebSocket that asks for nothing unusual, and that those who judge (handlers) have no doubt about, is let in from here.
Nothing is refused here: whatever is not let in goes on as if this room did not exist, and gets its answer there.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from protocol.errors import ApiError
from server.addresses import forwarded_address
from server.handshake import SocketProtocol, introducing, take_over
from server.heads import MOST_BYTES
from server.upgrade import Upgrade, read_upgrade
from server.websocket.accepted_socket import AcceptedSocket
from server.websocket.open_connections import OpenConnections

PATIENCE_SECONDS: Final = 2.0
"""After which a client that said nothing, or a judge that did, is left to Sanic and its timeouts."""

HELD_SECONDS: Final = 1.0
"""How long somebody waits to be told that there is no room."""

JUDGED_AT_ONCE: Final = 64

Enter: TypeAlias = Callable[[AcceptedSocket], None]
Judged: TypeAlias = Callable[[Enter | None], None]
Judge: TypeAlias = Callable[[Upgrade, str, Judged], None]
"""Says who may come in, and from which address: calls back, at once or later, with how they enter; None: let Sanic see
to it."""


def _turn_away(refusal: ApiError) -> bytes:
    """A whole HTTP answer, for who is not read."""
    body = msgspec.json.encode(refusal.body() | {"retryAfter": refusal.retry_after})
    head = (
        f"HTTP/1.1 {refusal.spec.status} Too Many Requests\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: {refusal.retry_after}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


NO_ROOM: Final = _turn_away(ApiError("too_many_connections"))
"""What one connection too many of an address is told."""


class Door(asyncio.Protocol):
    """Made by Sanic's server for each connection, with what it gives to its own protocol."""

    __slots__ = ("_asked", "_came", "_client", "_connections", "_counted", "_ctx", "_sanic", "_timer", "_transport")

    def __init__(self, **sanic: Any) -> None:
        self._sanic = sanic
        self._ctx = sanic["app"].ctx
        self._connections: set[Any] = sanic["connections"]
        self._transport: asyncio.Transport | None = None
        self._came = b""
        self._counted = ""
        self._client = ""
        self._asked: Upgrade | None = None
        self._timer: asyncio.TimerHandle | None = None

    # ---- what the loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there."""
        address = _address(transport)
        if not self._ctx.open_connections.add_pending(address):
            # Not at once, or it would be answered by the next attempt; but we do not keep many of them either.
            transport.pause_reading()
            self._sanic["loop"].call_later(
                self._ctx.open_connections.begin_refusal(HELD_SECONDS), self._turn_away, transport
            )
            return
        self._counted = address
        self._transport = transport
        self._connections.add(self)
        self._wait(self._leave_to_sanic)

    def _turn_away(self, transport: asyncio.Transport) -> None:
        self._ctx.open_connections.end_refusal()
        if not transport.is_closing():
            transport.write(NO_ROOM)
            transport.close()

    def data_received(self, data: bytes) -> None:
        """What he wants; or, while he is judged, the first frames of a client in a hurry."""
        if self._transport is None:
            return  # turned away
        self._came += data
        if self._asked is None:
            self._ask()
        elif len(self._came) > 2 * MOST_BYTES:
            self._leave_to_sanic()

    def connection_lost(self, _exc: Exception | None) -> None:
        """He went."""
        self._settle()
        self._let_go()

    # ---- what a stopping Sanic calls for each of its connections

    def close_if_idle(self) -> bool:
        """Whoever is still at the door comes too late."""
        self.abort()
        return True

    def abort(self) -> None:
        """Cut TCP. The transport then tells that the connection is lost."""
        if self._transport is not None:
            self._transport.abort()

    # ---- letting in

    def _ask(self) -> None:
        asked = read_upgrade(self._came) if self._ctx.judge is not None else None
        client = None if asked is None else self._address_of(asked)
        if client is None:
            self._leave_to_sanic()
        else:
            self._asked, self._client = asked, client
            self._wait(None)
            self._ctx.gate.come(self)

    def _address_of(self, asked: Upgrade) -> str | None:
        """Where the client is, as far as that can be told here."""
        proxies: int = self._ctx.open_connections.proxies
        if proxies:
            return forwarded_address(asked.forwarded, proxies)
        return "" if self._transport is None else _address(self._transport)

    def pass_gate(self) -> None:
        """It is this one's turn to be judged."""
        if self._transport is None or self._asked is None:
            self._ctx.gate.passed(self)
            return
        self._wait(self._out_of_patience)
        judge: Judge = self._ctx.judge
        judge(self._asked, self._client, self._judged)

    def leave_gate(self) -> None:
        """Nobody is judged just now."""
        self._leave_to_sanic()

    def _out_of_patience(self) -> None:
        self._leave_to_sanic()
        self._ctx.gate.disperse()

    def _wait(self, then: Callable[[], None] | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if then is None else self._sanic["loop"].call_later(PATIENCE_SECONDS, then)

    def _judged(self, enter: Enter | None) -> None:
        if self._transport is None or self._transport.is_closing():
            return  # gone, or Sanic's by now
        if enter is None:
            self._leave_to_sanic()
            return
        try:
            self._let_in(enter)
        except ApiError:
            self._leave_to_sanic()

    def _let_in(self, enter: Enter) -> None:
        """:raises ApiError: there is no place for one more"""
        transport, asked = self._transport, self._asked
        if transport is None or asked is None:
            return
        sockets: OpenConnections = self._ctx.open_connections
        sockets.check_limit(self._client)
        self._settle()
        self._let_go()
        transport.write(asked.answer)
        socket = take_over(transport, sockets, self._connections, self._client, self._came[asked.size :])
        with introducing(socket):
            enter(socket)

    def _leave_to_sanic(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._let_go()
        protocol = SocketProtocol(**self._sanic)
        protocol.counted, self._counted = self._counted, ""
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._came:
            protocol.data_received(self._came)

    def _settle(self) -> None:
        address, self._counted = self._counted, ""
        if address:
            self._ctx.open_connections.remove_pending(address)

    def _let_go(self) -> None:
        self._transport = None
        self._connections.discard(self)
        self._wait(None)
        self._ctx.gate.passed(self)


def _address(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""
