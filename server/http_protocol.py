"""Sanic's protocol class for one TCP connection, with an absolute deadline for a request."""

from typing import Any, Final

from sanic.http import Stage
from sanic.server.protocols.websocket_protocol import WebSocketProtocol

from server.http_stream import AnsweringHttp

SILENT: Final = 0.9
"""Part of a request's time that a connection may say nothing at all: it is over when Sanic looks at the clock."""
LAST_WORD_SECONDS: Final = 1.0
"""How long a client may take to read that its time is over."""


class DeadlineProtocol(WebSocketProtocol):
    """Time runs from a request's first byte, not from its latest.

    Sanic restarts its REQUEST and RESPONSE timeouts with every byte that comes, so a head or body dripped one byte a
    second is never cut. Sanic looks at the clock every half timeout: with 10 s a request is cut after 10 to 16 s,
    with 408 while the head is incomplete and 503 later.
    """

    HTTP_CLASS = AnsweringHttp

    def connection_made(self, transport: Any) -> None:
        """As Sanic's, but one that never says anything may not wait as long as one that is kept alive."""
        self.keep_alive_timeout = min(self.keep_alive_timeout, SILENT * self.request_timeout)
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
            self.loop.call_later(LAST_WORD_SECONDS, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """As Sanic's."""
        self.app.ctx.idle.done(self)
        super().connection_lost(exc)  # type: ignore[no-untyped-call]

    def _in_request(self) -> bool:
        http: Any = self.http
        return self.websocket is None and http is not None and http.stage in (Stage.REQUEST, Stage.HANDLER)
