"""One WebSocket: opened with a ticket, written to without waiting, and left at once where that is wanted."""

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import quote

from websockets import ConnectionClosed, InvalidStatus, Subprotocol, WebSocketException
from websockets.asyncio.client import ClientConnection, connect

from whatsapp_mini.core.core import encoded
from whatsapp_mini.core.effects import Frame
from whatsapp_mini.errors import ApiError
from whatsapp_mini.http import Http, refusal

CLOSE_SECONDS: Final = 2.0
MAX_BYTES: Final = 1 << 20
"""What is larger ends the connection (C16). The server sends at most 256 KiB."""
_quiet = logging.getLogger("whatsapp_mini.websockets")
_quiet.setLevel(logging.WARNING)  # below that it logs the address with the ticket, and texts (C7)


class Socket:
    """An open one. ``code`` and ``reason`` say how the other side ended it; 1006: it did not."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._outgoing: deque[Frame] = deque()
        self._news = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()
        self._writer = asyncio.create_task(self._write())
        self.code, self.reason = 1006, ""

    def send(self, frame: Frame) -> None:
        """Write it behind those before it."""
        self._outgoing.append(frame)
        self._written.clear()
        self._news.set()

    async def messages(self) -> AsyncGenerator[str | bytes]:
        """What comes, until the end."""
        try:
            while True:
                yield await self._connection.recv()
        except ConnectionClosed as ended:
            # What this side closed with, because it could not read the other one, is no verdict on what was sent.
            if ended.rcvd is not None and ended.rcvd_then_sent is not False:
                self.code, self.reason = ended.rcvd.code, ended.rcvd.reason
        finally:
            self._writer.cancel()

    async def close(self, code: int) -> None:
        """With a close frame, behind all that was written; for at most two seconds."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._written.wait()
                await self._connection.close(code)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Without waiting for anything."""
        self._writer.cancel()
        self._connection.transport.abort()

    async def _write(self) -> None:
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._outgoing:
                    await self._connection.send(encoded(self._outgoing[0]))
                    self._outgoing.popleft()
                self._written.set()
        except ConnectionClosed:
            self._written.set()  # the reader gets the error, and the core knows what had no answer


async def open_socket(http: Http, ticket: str) -> Socket:
    """With the subprotocol ``wm.v1`` (C9).

    :raises ApiError: the upgrade was refused, or there was no answer
    """
    try:
        connection = await connect(
            f"{http.socket_url}?ticket={quote(ticket, safe='')}",
            subprotocols=[Subprotocol("wm.v1")],
            compression=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=CLOSE_SECONDS,
            max_size=MAX_BYTES,
            max_queue=256,
            logger=_quiet,
        )
    except InvalidStatus as refused:
        headers = refused.response.headers
        raise refusal(
            refused.response.status_code, _object(refused.response.body), headers.get("Retry-After")
        ) from None
    except (OSError, WebSocketException) as error:
        raise ApiError(0, "unreachable", f"The socket could not be opened ({type(error).__name__}).") from None
    return Socket(connection)


def _object(body: bytes | bytearray) -> dict[str, object]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
