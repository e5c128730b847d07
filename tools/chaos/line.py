"""One socket of a chaos client: opened, read and written until it ends, whatever happens to the other side."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tools.chaos.frames import V1, Frame, ServerFrame, decode, encode

OPEN_SECONDS: Final = 5.0
"""For the upgrade, and again for the first frame."""
LAST_WORDS: Final = 0.05
"""Seconds in which a client hears what had come when it left its socket."""
PING_SECONDS: Final = 5.0
"""A socket whose other side does not answer a ping for so long is half open."""


class NoLine(Exception):
    """A socket did not come about.

    :param status: of the HTTP answer; 0: there was none
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Line:
    """An open socket.

    :param outgoing: asked for frames to write, each time it was woken
    """

    def __init__(self, socket: ClientConnection, dialect: str, outgoing: Callable[[], Sequence[Frame]]) -> None:
        self._socket, self._dialect, self._outgoing = socket, dialect, outgoing
        self._news = asyncio.Event()
        self._reading: asyncio.Task[tuple[int, str]] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._abandoned = False

    def wake(self) -> None:
        """There may be something to write."""
        self._news.set()

    def abort(self) -> None:
        """Leave without a goodbye."""
        self._socket.transport.abort()

    def abandon(self, seconds: float) -> None:
        """Leave the socket as a phone that changes its network; it ends so much later, and until then nobody reads it.

        Nobody at all: a library that went on answering pings would tell the server that the frames before them had
        arrived. What it has taken in already is still heard.
        """
        if self._reading is not None and not self._abandoned:
            self._abandoned = True
            self._socket.transport.pause_reading()
            loop = asyncio.get_running_loop()
            self._leaving = loop.call_later(LAST_WORDS, self._reading.cancel)
            loop.call_later(LAST_WORDS + seconds, self.abort)

    def begin_writing(self) -> None:
        """Write what there is, before the server has said anything."""
        self._news.set()
        self._writing = asyncio.create_task(self._write())

    async def welcome(self) -> list[ServerFrame]:
        """The first frames.

        :raises NoLine: they did not come
        """
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                return decode(await self._socket.recv())
        except (TimeoutError, websockets.ConnectionClosed):
            self.abort()
            if self._writing is not None:
                self._writing.cancel()
            raise NoLine(self._socket.close_code or 0, "no first frame") from None

    async def run(self, heard: Callable[[Sequence[ServerFrame]], None]) -> tuple[int, str]:
        """Read and write until the socket ends, or is abandoned; the close code and its reason."""
        self._reading = asyncio.create_task(self._read(heard))
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

    async def _read(self, heard: Callable[[Sequence[ServerFrame]], None]) -> tuple[int, str]:
        # A task of its own, for it is cancelled to abandon the socket: the person's own would be hit by that at
        # whatever he does next, when the socket ends in the same moment.
        try:
            while True:
                heard(decode(await self._socket.recv()))
        except websockets.ConnectionClosed as closed:
            frame = closed.rcvd
            return (frame.code, frame.reason) if frame else (1006, "")

    async def _write(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await self._news.wait()
                self._news.clear()
                for message in encode(self._dialect, self._outgoing()):
                    await self._socket.send(message)


async def open_line(url: str, token: str, dialect: str, outgoing: Callable[[], Sequence[Frame]]) -> Line:
    """Connect.

    :param url: ``http://host:port``
    :raises NoLine: it did not come about
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
        raise NoLine(refused.response.status_code, "refused") from None
    except (OSError, EOFError, websockets.WebSocketException) as error:
        raise NoLine(0, type(error).__name__) from None
    return Line(socket, dialect, outgoing)
