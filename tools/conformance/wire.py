"""One WebSocket as the scripted server holds it: RFC 6455 frames, written by hand so that they can also be wrong."""

import asyncio
import contextlib
import json
import struct
from collections.abc import Callable
from typing import Any, Final

from tools.conformance.waiting import Changes

Frame = dict[str, Any]
TEXT: Final = 1
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
ABNORMAL: Final = 1006
NO_CODE: Final = 1005
_MASKED: Final = 0x80
_FINAL: Final = 0x80


def encode(opcode: int, payload: bytes, *, announced: int | None = None) -> bytes:
    """One unmasked frame.

    :param announced: the length that its head says, where that is not the length of ``payload``
    """
    length = len(payload) if announced is None else announced
    if length < 126:
        head = bytes([_FINAL | opcode, length])
    elif length < 1 << 16:
        head = struct.pack("!BBH", _FINAL | opcode, 126, length)
    else:
        head = struct.pack("!BBQ", _FINAL | opcode, 127, length)
    return head + payload


class Socket:
    """A connection after the upgrade.

    ``frames`` has every JSON frame of the client in order; ``batches`` the same by WebSocket message. ``code`` is that
    of the client's close frame, :data:`ABNORMAL` if the socket ended without one, None while it is open.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, changes: Changes) -> None:
        self.frames: list[Frame] = []
        self.batches: list[list[Frame]] = []
        self.code: int | None = None
        self.answers_pings = True
        """Whether a WebSocket ping gets its pong."""
        self.on_frame: Callable[[Frame], None] | None = None
        self._reader, self._writer, self._changes = reader, writer, changes
        self._taken: set[int] = set()

    # ---- what comes

    async def read(self) -> None:
        """Read until the socket ends; :attr:`code` then says how."""
        try:
            await self._read_messages()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.code = ABNORMAL if self.code is None else self.code
            self._writer.close()
            self._changes.notify()

    async def _read_messages(self) -> None:
        message = b""
        while self.code is None:
            final, opcode, payload = await self._read_frame()
            if opcode == PING and self.answers_pings:
                self._write(encode(PONG, payload))
            elif opcode == CLOSE:
                self.code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else NO_CODE
                self._write(encode(CLOSE, payload[:2]))
            elif opcode <= TEXT:
                message += payload
                if final:
                    self._take(json.loads(message))
                    message = b""

    async def _read_frame(self) -> tuple[bool, int, bytes]:
        first, second = await self._reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
        if not second & _MASKED:
            raise ConnectionError("a client's frames are masked (RFC 6455 5.1)")
        mask = await self._reader.readexactly(4)
        payload = await self._reader.readexactly(length)
        whole = (mask * (length // 4 + 1))[:length]
        unmasked = (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(length, "big")
        return bool(first & _FINAL), first & 0x0F, unmasked

    def _take(self, message: Any) -> None:
        batch = message if isinstance(message, list) else [message]
        self.batches.append(batch)
        self.frames += batch
        for frame in batch:
            if self.on_frame is not None:
                self.on_frame(frame)
        self._changes.notify()

    def of(self, kind: str, **fields: Any) -> list[Frame]:
        """All frames of this type with these fields, in order. A field ``from_`` is ``from``."""
        wanted = {"type": kind, **{name.rstrip("_"): value for name, value in fields.items()}}
        return [frame for frame in self.frames if wanted.items() <= frame.items()]

    async def expect(self, kind: str, **fields: Any) -> Frame:
        """The next frame of this type with these fields that was not expected before.

        :raises AssertionError: none came
        """
        wanted = {"type": kind, **fields}

        def find() -> int | None:
            for index, frame in enumerate(self.frames):
                if index not in self._taken and wanted.items() <= frame.items():
                    return index
            return None

        await self._changes.until(lambda: find() is not None, lambda: f"the frame {wanted}; came: {self._last()}")
        index = find()
        assert index is not None
        self._taken.add(index)
        return self.frames[index]

    async def chats(self, count: int) -> list[Frame]:
        """The first so many chats of the client.

        :raises AssertionError: fewer came
        """
        await self._changes.until(lambda: len(self.of("chat")) >= count, lambda: f"{count} chats; came: {self._last()}")
        return self.of("chat")[:count]

    def acknowledged(self) -> list[str]:
        """The streamIds that the client acknowledged, in order, each as often as it did."""
        return [
            stream_id
            for frame in self.of("ack", ackType="delivered")
            for stream_id in ([frame["streamId"]] if "streamId" in frame else frame["streamIds"])
        ]

    async def acked(self, *stream_ids: str, times: int = 1) -> None:
        """Wait until the client acknowledged each of these.

        :raises AssertionError: it did not
        """
        await self._changes.until(
            lambda: all(self.acknowledged().count(each) >= times for each in stream_ids),
            lambda: f"{times} acks of {stream_ids[:5]}; came: {self._last()}",
        )

    async def ended(self) -> int:
        """The code with which the client, or the network, ended it.

        :raises AssertionError: it stays open
        """
        await self._changes.until(lambda: self.code is not None, lambda: "the end of the socket")
        assert self.code is not None
        return self.code

    def _last(self) -> str:
        return json.dumps(self.frames[-4:])[:400]

    # ---- what goes

    def send(self, *frames: Frame) -> None:
        """Send one frame, or several in one array."""
        self.send_text(json.dumps(frames[0] if len(frames) == 1 else frames, separators=(",", ":")))

    def send_text(self, text: str) -> None:
        """Send a text message, whatever it holds."""
        self._write(encode(TEXT, text.encode("utf-8", "surrogatepass")))

    def send_bytes(self, raw: bytes) -> None:
        """Write bytes to TCP: parts of frames, or what is none."""
        self._write(raw)

    def _write(self, raw: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(raw)

    def close(self, code: int | None, reason: str = "") -> None:
        """Send a close frame. None: one without a code."""
        payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
        self._write(encode(CLOSE, payload))

    def cut(self) -> None:
        """End TCP with RST, without a close frame."""
        self._writer.transport.abort()

    async def cut_within(self, *frames: Frame) -> None:
        """Send half of a message, then end TCP. What was written arrives before the end."""
        whole = encode(TEXT, json.dumps(frames[0] if len(frames) == 1 else frames).encode())
        self._write(whole[: len(whole) // 2])
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()
            self._writer.write_eof()
        await asyncio.sleep(0.02)
        self.cut()
