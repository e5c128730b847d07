"""Lines of standard input, as they come."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator

_READ_BYTES = 65_536


async def lines() -> AsyncIterator[str]:
    """Those that are not empty. What is no UTF-8 is U+FFFD in them.

    A thread reads, which the end of the program does not wait for: somebody who leaves does not have to press Enter.
    """
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
    reader = threading.Thread(target=_read, args=(asyncio.get_running_loop(), queue), daemon=True)
    reader.start()
    while (line := await queue.get()) is not None:
        if line:
            yield line.decode("utf-8", "replace")


def _read(loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[bytes | None]) -> None:
    try:
        for line in _split():
            asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()
        asyncio.run_coroutine_threadsafe(queue.put(None), loop).result()
    except (RuntimeError, asyncio.CancelledError, TimeoutError):
        pass  # the loop has ended: nobody takes them any more


def _split() -> Iterator[bytes]:
    rest = b""
    # Not through sys.stdin: a thread that holds its lock at the end of the program is a fatal error of Python.
    while chunk := os.read(sys.stdin.fileno(), _READ_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    yield rest
