"""One HTTP request: what is sent, and how an answer or its absence becomes an error."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from whatsapp_mini.errors import ApiError
from whatsapp_mini.messages import seconds_of

TIMEOUT: Final = 10.0
"""Seconds until a request counts as unanswered."""
_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


class Http:
    """Requests to one server.

    :param url: ``http://…`` or ``https://…``, with a path if the server is below one; ``ws`` is taken for ``http``
    :param transport: in place of sockets, for tests
    :raises ValueError: the URL is none
    """

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.netloc:
            raise ValueError("The URL must begin with http:// or https://.")
        scheme, path = _SCHEMES[parts.scheme], parts.path.rstrip("/")
        self.url = urlunsplit((scheme, parts.netloc, path, "", ""))
        self.socket_url = urlunsplit(("wss" if scheme == "https" else "ws", parts.netloc, f"{path}/", "", ""))
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> dict[str, Any]:
        """The body of a success.

        :raises ApiError: a refusal; or no answer within ``timeout`` seconds
        """
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            async with asyncio.timeout(timeout):  # httpx's own begins anew with each byte that comes
                answer = await self._open().request(
                    method, self.url + path, json=json, params=query, headers=headers, timeout=timeout
                )
        except (httpx.HTTPError, TimeoutError) as error:
            # Its text may hold the address with what is in it, so it is left out.
            raise ApiError(0, "unreachable", f"The server did not answer ({type(error).__name__}).") from None
        return _body(answer)

    async def close(self) -> None:
        """Close its connections. It may be used again."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            # To read the certificates of the world takes longer than a log-in, and plain HTTP needs none.
            verify = True if self.url.startswith("https") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._client = httpx.AsyncClient(verify=verify, transport=self._transport)
        return self._client


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        body = {}
    if answer.is_success and body:
        return body
    if answer.is_success:
        raise no_answer()
    raise refusal(answer.status_code, body, answer.headers.get("Retry-After"))


def no_answer() -> ApiError:
    """For an answer that says success and is none of the server: a page that wants a log-in to the network, say."""
    return ApiError(0, "unreachable", "Something else than the server answered.")


def text_of(body: Mapping[str, Any], name: str) -> str:
    """A field of a success.

    :raises ApiError: it is not there, so the server did not write this
    """
    value = body.get(name)
    if not isinstance(value, str):
        raise no_answer()
    return value


def refusal(status: int, body: Mapping[str, Any], retry_after: str | None) -> ApiError:
    """The error that an answer means. An answer of a proxy may have no body that can be read."""
    seconds = seconds_of(body.get("retryAfter"))
    if seconds is None and retry_after is not None and retry_after.isdecimal():
        seconds = seconds_of(float(retry_after))
    code = body.get("code")
    if not isinstance(code, str):
        code = "unavailable" if status >= 500 or status < 400 else "bad_request"
    message = str(body.get("message") or f"The server answered with {status}.")
    return ApiError(status, code, message, seconds, body.get("errors") or (), body.get("devices") or ())
