"""One socket of a client: opened, read and written until it ends, whatever happens to the other side."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tools.chaos.frames import V1, Frame, ServerFrame, decode, encode

OPEN_SECONDS: Final = 5.0
"""For the upgrade, and again for the first frame."""
DRAIN_SECONDS: Final = 0.05
"""For so long a client still handles what has arrived when it abandons its socket."""
PING_SECONDS: Final = 5.0
"""A socket whose other side does not answer a ping for so long is half open."""


class ConnectFailed(Exception):
    """A socket was not opened.

    :param status: of the HTTP response, or the close code before the first frame; 0: there was none
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Connection:
    """An open socket.

    :param outgoing: called for the frames to write, each time after :meth:`wake`
    """

    def __init__(self, socket: ClientConnection, dialect: str, outgoing: Callable[[], Sequence[Frame]]) -> None:
        self._socket, self._dialect, self._outgoing = socket, dialect, outgoing
        self._woken = asyncio.Event()
        self._reading: asyncio.Task[tuple[int, str]] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._abandoned = False

    def wake(self) -> None:
        """There may be something to write."""
        self._woken.set()

    def abort(self) -> None:
        """End the socket without a close frame."""
        self._socket.transport.abort()

    def abandon(self, seconds: float) -> None:
        """Leave the socket as a phone does that changes its network: it ends after ``seconds``, and until then nobody
        reads it.

        The library must not read it either: a pong would tell the server that the frames before its ping had arrived.
        What was read before is still handled.
        """
        if self._reading is not None and not self._abandoned:
            self._abandoned = True
            self._socket.transport.pause_reading()
            loop = asyncio.get_running_loop()
            self._leaving = loop.call_later(DRAIN_SECONDS, self._reading.cancel)
            loop.call_later(DRAIN_SECONDS + seconds, self.abort)

    def begin_writing(self) -> None:
        """Write what there is, before the server's first frame."""
        self._woken.set()
        self._writing = asyncio.create_task(self._write())

    async def first_frames(self) -> list[ServerFrame]:
        """The frames of the first message.

        :raises ConnectFailed: none arrived
        """
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                return decode(await self._socket.recv())
        except (TimeoutError, websockets.ConnectionClosed):
            self.abort()
            if self._writing is not None:
                self._writing.cancel()
            raise ConnectFailed(self._socket.close_code or 0, "no first frame") from None

    async def run(self, on_frames: Callable[[Sequence[ServerFrame]], None]) -> tuple[int, str]:
        """Read and write until the socket ends or is abandoned; the close code and its reason."""
        self._reading = asyncio.create_task(self._read(on_frames))
        writing = self._writing or asyncio.create_task(self._write())
        try:
            await asyncio.wait([self._reading])
            return (1006, "abandoned") if self._reading.cancelled() else self._reading.result()
        finally:
            if self._leaving is not None:
                self._leaving.cancel()
            else:
                self.abort()
            for task in (self._reading, writing):
                task.cancel()
            await asyncio.wait([self._reading, writing])
            if not writing.cancelled():
                writing.result()

    async def _read(self, on_frames: Callable[[Sequence[ServerFrame]], None]) -> tuple[int, str]:
        # A task of its own, because abandoning cancels it: if the socket ended in the same moment, a cancellation of
        # the client's task would hit whatever the client does next.
        try:
            while True:
                on_frames(decode(await self._socket.recv()))
        except websockets.ConnectionClosed as closed:
            frame = closed.rcvd
            return (frame.code, frame.reason) if frame else (1006, "")

    async def _write(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await self._woken.wait()
                self._woken.clear()
                for message in encode(self._dialect, self._outgoing()):
                    await self._socket.send(message)


async def open_connection(url: str, token: str, dialect: str, outgoing: Callable[[], Sequence[Frame]]) -> Connection:
    """Open a socket.

    :param url: ``http://host:port``
    :raises ConnectFailed: it was not opened
    """
    subprotocols = [websockets.Subprotocol(V1)] if dialect == V1 else None
    try:
        socket = await connect(
            f"{url.replace('http', 'ws', 1)}/?token={token}",
            subprotocols=subprotocols,
            compression=None,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=1,
            proxy=None,
        )
    except websockets.InvalidStatus as refused:
        raise ConnectFailed(refused.response.status_code, "refused") from None
    except (OSError, EOFError, websockets.WebSocketException) as error:
        raise ConnectFailed(0, type(error).__name__) from None
    return Connection(socket, dialect, outgoing)
