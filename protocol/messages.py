"""Encoded frames joined into WebSocket messages: arrays in ``wm.v1``, one frame a message in the seed dialect."""

from collections.abc import Iterator, Sequence
from typing import Final

CHUNK_BYTES: Final = 48 * 1024
"""Frames are joined up to this size; a longer one travels alone."""


def batch_frames(frames: Sequence[bytes], *, joined: bool) -> Iterator[bytes]:
    """The messages that carry these encoded frames, in their order.

    :param joined: whether the client takes arrays of frames
    """
    if not joined:
        yield from frames
        return
    if sum(map(len, frames)) <= CHUNK_BYTES:
        if frames:
            yield _array(frames)
        return
    chunk: list[bytes] = []
    size = 0
    for frame in frames:
        if chunk and size + len(frame) > CHUNK_BYTES:
            yield _array(chunk)
            chunk, size = [], 0
        chunk.append(frame)
        size += len(frame)
    if chunk:
        yield _array(chunk)


def _array(frames: Sequence[bytes]) -> bytes:
    return frames[0] if len(frames) == 1 else b"[" + b",".join(frames) + b"]"
