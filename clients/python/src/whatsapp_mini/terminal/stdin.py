"""Lines of standard input, as they come."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator

_READ_BYTES = 65_536
_AHEAD = 64
"""So many lines are read before the first of them is taken."""


async def lines() -> AsyncIterator[str]:
    """Those that are not empty. What is no UTF-8 is U+FFFD in them.

    A thread reads, which the end of the program does not wait for: somebody who leaves does not have to press Enter.
    """
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    room, loop = threading.Semaphore(_AHEAD), asyncio.get_running_loop()
    threading.Thread(target=_read, args=(loop, queue, room), daemon=True).start()
    while (line := await queue.get()) is not None:
        room.release()
        if line:
            yield line.decode("utf-8", "replace")


def _read(loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[bytes | None], room: threading.Semaphore) -> None:
    for line in _split():
        room.acquire()  # which nobody releases at the end of the program, so nothing in here happens then
        try:
            loop.call_soon_threadsafe(queue.put_nowait, line)
        except RuntimeError:
            return  # the loop is closed


def _split() -> Iterator[bytes | None]:
    """The lines, and None at the end."""
    rest = b""
    # Not through sys.stdin: a thread that holds its lock at the end of the program is a fatal error of Python.
    while chunk := os.read(sys.stdin.fileno(), _READ_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    yield rest
    yield None
