"""Clients of both dialects, on picows: each frame is handled in its callback, and answers leave once per loop tick.

The client of the seed dialect does as the original's: one frame a message, an ack of its own for each chat, no acks
for receipts (the server pings, and picows answers). Its frames of one loop tick still leave in one write, as with
``wm.v1`` and XMPP: how a client uses its socket is not what is compared.
"""

import asyncio
import struct
from typing import Any, ClassVar, Final, cast

import msgspec
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tools.bench.environment import TEXT, Account, ConnectError, Recorder

CONNECT_SECONDS: Final = 30.0


class ServerFrame(msgspec.Struct, gc=False, rename="camel"):
    """Any frame of the server, in either dialect: the fields that these clients use. (One type is quicker to decode
    than a union.)"""

    type: str
    message_id: str = ""
    message_ids: list[str] = []
    stream_id: str = ""
    code: str = ""
    status: str = ""


_ONE_FRAME: Final = msgspec.json.Decoder(ServerFrame)
_MANY_FRAMES: Final = msgspec.json.Decoder(list[ServerFrame])
CHAT: Final = '{"type":"chat","to":"%s","messageId":"%s","message":"' + TEXT + '"}'
_ACK: Final = '{"type":"ack","ackType":"delivered","streamIds":["%s"]}'


class Client(WSListener):
    """One connection in ``wm.v1``. Acks each entry and reports to its recorder.

    :cvar SUBPROTOCOL: offered in the upgrade; None offers nothing
    :param ack_each: one ack frame for each entry, instead of one for all of a loop tick
    """

    SUBPROTOCOL: ClassVar[str | None] = "wm.v1"

    def __init__(self, recorder: Recorder, *, ack_each: bool = False) -> None:
        super().__init__()
        self._recorder, self._ack_each = recorder, ack_each
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
            for answer in _MANY_FRAMES.decode(data) if data[0] == 0x5B else (_ONE_FRAME.decode(data),):
                self._handle(answer)
        elif frame.msg_type == WSMsgType.CLOSE:
            self._why = f"{frame.get_close_code()} {frame.get_close_reason()}"
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type != WSMsgType.PONG:
            raise ValueError(f"a frame this client does not read: {frame.msg_type}")

    def _handle(self, answer: ServerFrame) -> None:
        kind, recorder = answer.type, self._recorder
        if kind == "sent":
            recorder.stored(answer.message_id)
        elif kind == "chat":
            self._ack(answer.stream_id)
            recorder.arrived(answer.message_id)
        elif kind == "ack":
            self._ack(answer.stream_id)
            for message_id in answer.message_ids:
                recorder.receipt(message_id)
        elif kind == "synced":
            if not self.synced.done():
                self.synced.set_result(None)
        elif kind == "error":
            recorder.refused(answer.code, answer.message_id)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection ended."""
        if self.synced.done():
            self._recorder.closed(self._why)
        else:
            self.synced.set_exception(
                ConnectError(f"the server closed the connection before the first frames: {self._why}")
            )
            self.synced.exception()  # retrieved here: open_connection raises it, and asyncio must not log it as well

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
        """Send the frames of this loop tick as one message: acks first, they free the server's window."""
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
        """Close the socket without a close handshake."""
        self._recorder.ended = True
        self._transport.disconnect(graceful=False)


async def open_connection(
    url: str,
    account: Account,
    recorder: Recorder,
    *,
    ack_each: bool = False,
    kind: type[Client] = Client,
    source: str = "",
) -> Client:
    """Connect, and wait until the backlog is delivered (``synced``; in the seed dialect for the first frame).

    :param url: ``ws://host:port``
    :param kind: which dialect's client
    :param source: the address to come from
    :raises ConnectError: when one of them fails
    """
    how: dict[str, Any] = {"local_addr": (source, 0)} if source else {}
    if kind.SUBPROTOCOL:
        how["extra_headers"] = {"Sec-WebSocket-Protocol": kind.SUBPROTOCOL}
    try:
        _, connected = await ws_connect(
            lambda: kind(recorder, ack_each=ack_each),
            f"{url}/?token={account.secret}",
            websocket_handshake_timeout=CONNECT_SECONDS,
            **how,
        )
        listener = cast("Client", connected)  # what the factory made
        try:
            await asyncio.wait_for(listener.synced, CONNECT_SECONDS)
        except BaseException:
            listener.end()
            raise
    except (OSError, WSError, TimeoutError) as error:
        raise ConnectError(f"{type(error).__name__}: {error}") from error
    return listener


_SEED_ACK: Final = '{"type":"ack","ackType":"delivered","streamId":"%s"}'
_TEXT: Final = 0x81
_MASKED: Final = 0x80
_NO_MASK: Final = b"\0\0\0\0"


def text_frame(text: str) -> bytes:
    """A client's text frame, masked with zeros: it costs the server as much as any mask, and this client nothing.

    :raises struct.error: for more than 65,535 bytes
    """
    payload = text.encode()
    if len(payload) < 126:
        return bytes((_TEXT, _MASKED | len(payload))) + _NO_MASK + payload
    return struct.pack("!BBH", _TEXT, _MASKED | 126, len(payload)) + _NO_MASK + payload


class SeedClient(Client):
    """One connection in the seed dialect. ``synced`` is done with the first frame: no frame of this dialect marks the
    end of the backlog."""

    SUBPROTOCOL = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One WebSocket message, which is one frame of the protocol."""
        if frame.msg_type == WSMsgType.TEXT and frame.fin:
            self._handle(_ONE_FRAME.decode(frame.get_payload_as_memoryview()))
        else:
            super().on_ws_frame(transport, frame)

    def _handle(self, answer: ServerFrame) -> None:
        kind, recorder = answer.type, self._recorder
        if not self.synced.done():
            if kind != "system" or answer.message_id:
                raise ValueError(f"the first frame of the seed dialect is system, not {kind}")
            self.synced.set_result(None)
        elif kind == "system" and answer.status == "sent":
            recorder.stored(answer.message_id)
        elif kind == "chat":
            self._ack(answer.stream_id)
            recorder.arrived(answer.message_id)
        elif kind == "ack":
            recorder.receipt(answer.message_id)
        else:  # an error, or the system frame for a resync: either makes the run void
            recorder.refused(answer.code or kind, answer.message_id)

    def chat(self, to: str, message_id: str) -> None:
        """Send a chat with the usual text."""
        self._frames.append(CHAT % (to, message_id))
        self._soon()

    def _flush(self) -> None:
        """Send the frames of this loop tick in one write: acks first, they free the server's window."""
        self._due = False
        frames, self._frames = [_SEED_ACK % each for each in self._acks] + self._frames, []
        self._acks = []
        if not self._transport.is_disconnected:
            self._transport.underlying_transport.write(b"".join(map(text_frame, frames)))
