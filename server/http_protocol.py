"""Sanic's protocol class for one TCP connection, with an absolute deadline for a request."""

from typing import Any

from sanic.http import Stage
from sanic.server.protocols.websocket_protocol import WebSocketProtocol


class DeadlineProtocol(WebSocketProtocol):
    """Time runs from a request's first byte, not from its latest.

    Sanic restarts its REQUEST and RESPONSE timeouts with every byte that comes, so a head or body dripped one byte a
    second is never cut.
    """

    def data_received(self, data: bytes) -> None:
        """As Sanic's, but in the middle of a request the clock goes on."""
        started = self._time if self._in_request() else None
        super().data_received(data)  # type: ignore[no-untyped-call]
        if started is not None:
            self._time = started

    def _in_request(self) -> bool:
        http: Any = self.http
        return self.websocket is None and http is not None and http.stage in (Stage.REQUEST, Stage.HANDLER)
