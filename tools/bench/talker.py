"""A client of ``wm.v1``, on picows: everything happens in the callback of a frame, and leaves once per loop tick."""

import asyncio
from typing import Any, ClassVar, Final, cast

import msgspec
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tools.bench.line import TEXT, Account, ConnectError, Ear

CONNECT_SECONDS: Final = 30.0


class Said(msgspec.Struct, gc=False, rename="camel"):
    """Any frame of the server's, in either dialect: the fields these clients have a use for. (One shape is quicker to
    read than a union.)"""

    type: str
    message_id: str = ""
    message_ids: list[str] = []
    stream_id: str = ""
    code: str = ""
    status: str = ""


_ONE: Final = msgspec.json.Decoder(Said)
_MANY: Final = msgspec.json.Decoder(list[Said])
CHAT: Final = '{"type":"chat","to":"%s","messageId":"%s","message":"' + TEXT + '"}'
_ACK: Final = '{"type":"ack","ackType":"delivered","streamIds":["%s"]}'


class Talker(WSListener):
    """One connection. Acks what comes, tells its ear.

    :cvar SUBPROTOCOL: offered in the upgrade; None offers nothing
    :param ack_each: one ack frame for each entry, instead of one for all of a loop tick
    """

    SUBPROTOCOL: ClassVar[str | None] = "wm.v1"

    def __init__(self, ear: Ear, *, ack_each: bool = False) -> None:
        super().__init__()
        self._ear, self._ack_each = ear, ack_each
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport
        self._frames: list[str] = []
        self._acks: list[str] = []
        self._due = False
        self._why = ""
        self.synced: asyncio.Future[None] = self._loop.create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The upgrade is done."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One WebSocket message."""
        if frame.msg_type == WSMsgType.TEXT and frame.fin:
            data = frame.get_payload_as_memoryview()
            for said in _MANY.decode(data) if data[0] == 0x5B else (_ONE.decode(data),):
                self._hear(said)
        elif frame.msg_type == WSMsgType.CLOSE:
            self._why = f"{frame.get_close_code()} {frame.get_close_reason()}"
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type != WSMsgType.PONG:
            raise ValueError(f"a frame this client does not read: {frame.msg_type}")

    def _hear(self, said: Said) -> None:
        kind, ear = said.type, self._ear
        if kind == "sent":
            ear.stored(said.message_id)
        elif kind == "chat":
            self._ack(said.stream_id)
            ear.arrived(said.message_id)
        elif kind == "ack":
            self._ack(said.stream_id)
            for message_id in said.message_ids:
                ear.receipt(message_id)
        elif kind == "synced":
            if not self.synced.done():
                self.synced.set_result(None)
        elif kind == "error":
            ear.refused(said.code, said.message_id)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """It is gone."""
        if self.synced.done():
            self._ear.closed(self._why)
        else:
            self.synced.set_exception(ConnectError(f"the server hung up before the first frames: {self._why}"))
            self.synced.exception()  # told by open_line; asyncio need not complain as well

    def chat(self, to: str, message_id: str) -> None:
        """Send a chat with the usual text."""
        self._frames.append(CHAT % (to, message_id))
        self._soon()

    def _ack(self, stream_id: str) -> None:
        self._acks.append(stream_id)
        self._soon()

    def _soon(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """What this tick brought up leaves as one message: acks first, they free the server's window."""
        self._due = False
        if self._acks:
            acks = [_ACK % each for each in self._acks] if self._ack_each else [_ACK % '","'.join(self._acks)]
            self._frames = acks + self._frames
            self._acks = []
        frames, self._frames = self._frames, []
        text = frames[0] if len(frames) == 1 else "[" + ",".join(frames) + "]"
        if not self._transport.is_disconnected:
            self._transport.send(WSMsgType.TEXT, text.encode())

    def end(self) -> None:
        """Hang up, without goodbye."""
        self._ear.ended = True
        self._transport.disconnect(graceful=False)


async def open_line(
    url: str, account: Account, ear: Ear, *, ack_each: bool = False, kind: type[Talker] = Talker, source: str = ""
) -> Talker:
    """Connect, and wait until the backlog is through (``synced``; in the seed dialect for the first frame).

    :param url: ``ws://host:port``
    :param kind: which dialect's client
    :param source: the address to come from
    :raises ConnectError: when that does not come about
    """
    how: dict[str, Any] = {"local_addr": (source, 0)} if source else {}
    if kind.SUBPROTOCOL:
        how["extra_headers"] = {"Sec-WebSocket-Protocol": kind.SUBPROTOCOL}
    try:
        _, connected = await ws_connect(
            lambda: kind(ear, ack_each=ack_each),
            f"{url}/?token={account.secret}",
            websocket_handshake_timeout=CONNECT_SECONDS,
            **how,
        )
        listener = cast("Talker", connected)  # what the factory made
        try:
            await asyncio.wait_for(listener.synced, CONNECT_SECONDS)
        except BaseException:
            listener.end()
            raise
    except (OSError, WSError, TimeoutError) as error:
        raise ConnectError(f"{type(error).__name__}: {error}") from error
    return listener
