"""A client of the seed dialect, as the original's: one frame a message, an ack of its own for each chat.

What a loop tick brings up leaves in one write, as with ``wm.v1`` and XMPP: how a client uses its socket is not what is
compared. Receipts are not acked: the server pings, and picows answers.
"""

import struct
from typing import Final

import msgspec
from picows import WSFrame, WSMsgType, WSTransport

from tools.bench.talker import CHAT, Said, Talker

_ONE: Final = msgspec.json.Decoder(Said)
_ACK: Final = '{"type":"ack","ackType":"delivered","streamId":"%s"}'
_TEXT: Final = 0x81
_MASKED: Final = 0x80
_NO_MASK: Final = b"\0\0\0\0"


def text_frame(text: str) -> bytes:
    """A client's text frame, masked with zeros, which costs the server the same and this client nothing.

    :raises struct.error: for more than 65,535 bytes
    """
    payload = text.encode()
    if len(payload) < 126:
        return bytes((_TEXT, _MASKED | len(payload))) + _NO_MASK + payload
    return struct.pack("!BBH", _TEXT, _MASKED | 126, len(payload)) + _NO_MASK + payload


class SeedTalker(Talker):
    """One connection. ``synced`` is done with the first frame: no frame of this dialect says that the backlog is
    through."""

    SUBPROTOCOL = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One WebSocket message, which is one frame of the protocol."""
        if frame.msg_type == WSMsgType.TEXT and frame.fin:
            self._hear(_ONE.decode(frame.get_payload_as_memoryview()))
        else:
            super().on_ws_frame(transport, frame)

    def _hear(self, said: Said) -> None:
        kind, ear = said.type, self._ear
        if not self.synced.done():
            if kind != "system" or said.message_id:
                raise ValueError(f"the first frame of the seed dialect is system, not {kind}")
            self.synced.set_result(None)
        elif kind == "system" and said.status == "sent":
            ear.stored(said.message_id)
        elif kind == "chat":
            self._ack(said.stream_id)
            ear.arrived(said.message_id)
        elif kind == "ack":
            ear.receipt(said.message_id)
        else:  # an error, or the system frame that says resync: neither belongs into a run
            ear.refused(said.code or kind, said.message_id)

    def chat(self, to: str, message_id: str) -> None:
        """Send a chat with the usual text."""
        self._frames.append(CHAT % (to, message_id))
        self._soon()

    def _flush(self) -> None:
        """Acks first, they free the server's window."""
        self._due = False
        frames, self._frames = [_ACK % each for each in self._acks] + self._frames, []
        self._acks = []
        if not self._transport.is_disconnected:
            self._transport.underlying_transport.write(b"".join(map(text_frame, frames)))
