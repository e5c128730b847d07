"""Writing to a socket at once, and not at the end of the event loop's turn.

uvloop's transports write when everything that was ready in a turn has been worked off. Under load that is a millisecond
or more, in which the other side has nothing to do.
"""

import asyncio
import os
from typing import Final

NO_FD: Final = -1


def plain_fd(transport: asyncio.BaseTransport) -> int:
    """The file descriptor that bytes for this transport may be written to; ``NO_FD`` if they are encrypted first, or if
    there is no socket behind it."""
    if transport.get_extra_info("sslcontext") is not None:
        return NO_FD
    found = transport.get_extra_info("socket")
    return NO_FD if found is None else found.fileno()


def write_now(transport: asyncio.WriteTransport, fd: int, data: bytes) -> None:
    """As ``transport.write``, but at once, as far as the system takes it. What it does not take, and every error, is
    left to the transport.

    :param fd: as :func:`plain_fd` gave it. It is not used once the transport closes: it may be another one's by then
    """
    if fd != NO_FD and not transport.is_closing() and not transport.get_write_buffer_size():
        try:
            sent = os.write(fd, data)
        except OSError:
            sent = 0
        if sent == len(data):
            return
        data = data[sent:]
    transport.write(data)
