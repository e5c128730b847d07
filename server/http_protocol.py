"""Sanic's HTTP/1.1, where it is laxer than the standard, leaves a client without an answer, or waits for too long."""

from typing import Any, Final

from sanic.exceptions import BadRequest, BadURL
from sanic.http import Http, Stage
from sanic.http.http1 import HTTP_CONTINUE
from sanic.server.protocols.websocket_protocol import WebSocketProtocol

from protocol.errors import ApiError
from server.http_head import MAX_HEAD_BYTES, check_head, find_head_end, is_chunk_line
from server.upgrade_request import asks_for_websocket

MAX_CHUNK_LINE: Final = 64
"""Bytes of a chunk's size and its extensions. Sanic's own limit is the same."""
SILENT_PART: Final = 0.9
"""Part of a request's time that a connection may say nothing at all: it is over when Sanic looks at the clock."""
LAST_ANSWER_SECONDS: Final = 1.0
"""How long a client may take to read that its time is over."""


class StrictHttp(Http):
    """Refuses requests that Sanic stumbles over, or that two readers could understand differently."""

    def init_for_request(self) -> None:
        """As Sanic's: from here on the connection waits for a request."""
        super().init_for_request()  # type: ignore[no-untyped-call]
        self.protocol.app.ctx.idle_connections.add(self.protocol)

    async def http1_request_header(self) -> None:
        """As Sanic's, which gives anything that says "Upgrade: websocket" for ever to send a body.

        :raises ApiError: ``head_too_large``, ``uri_too_long``, ``bad_request``
        :raises BadRequest: an upgrade with a body
        """
        head = await self._whole_head()
        self.protocol.app.ctx.idle_connections.remove(self.protocol)
        check_head(head)
        await super().http1_request_header()  # type: ignore[no-untyped-call]
        headers = self.request.headers
        self.upgrade_websocket = asks_for_websocket(self.request.method, headers.getall("upgrade", []))
        if self.upgrade_websocket and (self.request_bytes_left or "transfer-encoding" in headers):
            self.request_body, self.keep_alive, self.upgrade_websocket = None, False, False
            raise BadRequest("An upgrade has no body")

    async def head_response_ignored(self, data: bytes, end_stream: bool) -> None:  # type: ignore[override]
        """As Sanic's, which awaits it and has no coroutine here: HEAD of an answer in parts would fail."""
        super().head_response_ignored(data, end_stream)

    async def read(self) -> bytes | None:
        """As Sanic's, which takes anything for the line end after a chunk, and any number that Python can read.

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
        """Wait for all of it, and leave it in the buffer. Empty lines before it are skipped (RFC 9112, 2.2)."""
        buffer: bytearray = self.recv_buffer
        searched = 0
        while True:
            while buffer.startswith(b"\r\n"):
                del buffer[:2]
            end = find_head_end(buffer, searched)
            if end >= 0:
                return bytes(buffer[:end])
            if len(buffer) >= MAX_HEAD_BYTES + 3:
                has_line = buffer.find(b"\r\n", 0, MAX_HEAD_BYTES) >= 0
                raise ApiError("head_too_large" if has_line else "uri_too_long")
            searched = max(0, len(buffer) - 3)
            await self._receive_more()

    async def _check_chunk(self) -> None:
        buffer: bytearray = self.recv_buffer
        if self.expecting_continue:
            self.expecting_continue = False
            await self._send(HTTP_CONTINUE)
        while (end := buffer.find(b"\r\n", 3)) < 0 and len(buffer) <= MAX_CHUNK_LINE:
            await self._receive_more()
        if not 0 < end <= MAX_CHUNK_LINE or not is_chunk_line(bytes(buffer[: end + 2])):
            self.keep_alive, self.request_body = False, None
            raise BadRequest("Bad chunked encoding")


class DeadlineProtocol(WebSocketProtocol):
    """Sanic's protocol class for one TCP connection. Time runs from a request's first byte, not from its latest.

    Sanic restarts its REQUEST and RESPONSE timeouts with every byte that comes, so a head or body dripped one byte a
    second is never cut. Sanic looks at the clock every half timeout: with 10 s a request is cut after 10 to 16 s,
    with 408 while the head is incomplete and 503 later.
    """

    HTTP_CLASS = StrictHttp

    def connection_made(self, transport: Any) -> None:
        """As Sanic's, but a connection that never says anything may not wait as long as one that is kept alive."""
        self.keep_alive_timeout = min(self.keep_alive_timeout, SILENT_PART * self.request_timeout)
        super().connection_made(transport)  # type: ignore[no-untyped-call]

    def data_received(self, data: bytes) -> None:
        """As Sanic's, but in the middle of a request the clock goes on."""
        self.keep_alive_timeout = self.app.config.KEEP_ALIVE_TIMEOUT
        started = self._time if self._in_request() else None
        super().data_received(data)  # type: ignore[no-untyped-call]
        if started is not None:
            self._time = started

    def check_timeouts(self) -> None:
        """As Sanic's, which answers and then reads the rest of the body for as long as it drips."""
        super().check_timeouts()  # type: ignore[no-untyped-call]
        http: Any = self.http
        if http is not None and http.exception is not None:
            self.loop.call_later(LAST_ANSWER_SECONDS, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """As Sanic's."""
        self.app.ctx.idle_connections.remove(self)
        super().connection_lost(exc)  # type: ignore[no-untyped-call]

    def _in_request(self) -> bool:
        http: Any = self.http
        return self.websocket is None and http is not None and http.stage in (Stage.REQUEST, Stage.HANDLER)
