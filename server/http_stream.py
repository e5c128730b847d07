"""Sanic's reading of HTTP/1.1, where it is laxer than the standard or would leave a client without an answer."""

from typing import Any, Final

from sanic.exceptions import BadRequest, BadURL
from sanic.http import Http
from sanic.http.http1 import HTTP_CONTINUE

from protocol.errors import ApiError
from server.heads import MOST_BYTES, check_head, find_end, is_chunk
from server.upgrade import asks_for_socket

MOST_CHUNK_LINE: Final = 64
"""Bytes of a chunk's size and its extensions. Sanic's own limit is the same."""


class AnsweringHttp(Http):
    """Refuses what Sanic stumbles over, and what two readers could understand differently."""

    def init_for_request(self) -> None:
        """As Sanic's: from here on the connection waits for a request."""
        super().init_for_request()  # type: ignore[no-untyped-call]
        self.protocol.app.ctx.idle.waits(self.protocol)

    async def http1_request_header(self) -> None:
        """As Sanic's. It lets whatever says "Upgrade: websocket" take for ever to send a body.

        :raises ApiError: ``head_too_large``, ``uri_too_long``, ``bad_request``
        :raises BadRequest: an upgrade with a body
        """
        head = await self._whole_head()
        self.protocol.app.ctx.idle.done(self.protocol)
        check_head(head)
        await super().http1_request_header()  # type: ignore[no-untyped-call]
        headers = self.request.headers
        self.upgrade_websocket = asks_for_socket(self.request.method, headers.getall("upgrade", []))
        if self.upgrade_websocket and (self.request_bytes_left or "transfer-encoding" in headers):
            self.request_body, self.keep_alive, self.upgrade_websocket = None, False, False
            raise BadRequest("An upgrade has no body")

    async def read(self) -> bytes | None:
        """As Sanic's, which takes anything for the line end after a chunk, and whatever Python reads for a number.

        :raises BadRequest: the chunks are not as RFC 9112 has them
        """
        body: Any = self.request_body
        if body == "chunked" and not self.request_bytes_left:
            await self._check_chunk()
        return await super().read()

    def create_empty_request(self) -> None:
        """As Sanic's, which names in it the URL that came, and fails a second time when that cannot be parsed."""
        try:
            super().create_empty_request()
        except BadURL:
            self.url = None
            super().create_empty_request()

    async def _whole_head(self) -> bytes:
        """Wait for all of it, and leave it in the buffer. Empty lines before it are passed over (RFC 9112, 2.2)."""
        buffer: bytearray = self.recv_buffer
        searched = 0
        while True:
            while buffer.startswith(b"\r\n"):
                del buffer[:2]
            end = find_end(buffer, searched)
            if end >= 0:
                return bytes(buffer[:end])
            if len(buffer) >= MOST_BYTES + 3:
                raise ApiError("head_too_large" if buffer.find(b"\r\n", 0, MOST_BYTES) >= 0 else "uri_too_long")
            searched = max(0, len(buffer) - 3)
            await self._receive_more()

    async def _check_chunk(self) -> None:
        buffer: bytearray = self.recv_buffer
        if self.expecting_continue:
            self.expecting_continue = False
            await self._send(HTTP_CONTINUE)
        while (end := buffer.find(b"\r\n", 3)) < 0 and len(buffer) <= MOST_CHUNK_LINE:
            await self._receive_more()
        if not 0 < end <= MOST_CHUNK_LINE or not is_chunk(bytes(buffer[: end + 2])):
            self.keep_alive, self.request_body = False, None
            raise BadRequest("Bad chunked encoding")
