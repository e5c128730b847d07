"""Frames that wait to be written to one client."""

from typing import Final

from protocol.websocket import writer

PIECE_BYTES: Final = 2**16
"""So much is given to the transport at once; it asks for a pause above the same figure."""
MARK_BYTES: Final = 8


class SendBuffer:
    """Frames in order, and which pings are among them."""

    __slots__ = ("_frames", "last_ping", "unsent_bytes", "written_ping")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self.unsent_bytes = 0
        self.last_ping = 0
        """The mark of the newest ping. Marks rise by one."""
        self.written_ping = 0
        """The mark of the newest ping that was taken to be written."""

    def put(self, frame: bytes) -> None:
        """Queue a frame."""
        self._frames.append(frame)
        self.unsent_bytes += len(frame)

    def next_ping(self) -> bytes:
        """A ping frame with the next mark, to be :meth:`put`."""
        self.last_ping += 1
        return writer.ping(self.last_ping.to_bytes(MARK_BYTES, "big"))

    def take(self) -> bytes:
        """The oldest frames, together ``PIECE_BYTES`` or a frame more; they are not kept."""
        if self.unsent_bytes <= PIECE_BYTES:
            frames, self._frames, self.unsent_bytes = self._frames, [], 0
            self.written_ping = self.last_ping
        else:
            frames = self._take_first()
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()
        self.unsent_bytes = 0

    def _take_first(self) -> list[bytes]:
        size, count = 0, 0
        while count < len(self._frames) and size < PIECE_BYTES:
            size += len(self._frames[count])
            count += 1
        frames = self._frames[:count]
        del self._frames[:count]
        self.unsent_bytes -= size
        for frame in frames:
            if writer.is_ping(frame):
                self.written_ping = int.from_bytes(frame[-MARK_BYTES:], "big")
        return frames


def read_mark(payload: bytes) -> int:
    """The mark that a pong's payload carries; 0 when the pong answers none of our pings."""
    return int.from_bytes(payload, "big") if len(payload) == MARK_BYTES else 0
