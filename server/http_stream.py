"""Sanic's reading of HTTP/1.1, where it would leave a client without an answer."""

from sanic.exceptions import BadRequest, BadURL
from sanic.http import Http


class AnsweringHttp(Http):
    """Refuses what Sanic stumbles over."""

    async def http1_request_header(self) -> None:
        """As Sanic's. It lets whatever says "Upgrade: websocket" take for ever to send a body.

        :raises BadRequest: an upgrade with a body
        """
        await super().http1_request_header()  # type: ignore[no-untyped-call]
        if not self.upgrade_websocket:
            return
        if self.request.method != "GET":
            self.upgrade_websocket = False  # an ordinary request, under the ordinary timeouts
        elif self.request_bytes_left or "transfer-encoding" in self.request.headers:
            self.request_body, self.keep_alive, self.upgrade_websocket = None, False, False
            raise BadRequest("An upgrade has no body")

    def create_empty_request(self) -> None:
        """As Sanic's, which names in it the URL that came, and fails a second time when that cannot be parsed."""
        try:
            super().create_empty_request()
        except BadURL:
            self.url = None
            super().create_empty_request()
