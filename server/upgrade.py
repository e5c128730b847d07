"""A request to become a WebSocket, read without Sanic, where it is as plain as nearly all of them are."""

import binascii
from base64 import b64decode
from typing import Final, NamedTuple

import httptools
from websockets.utils import accept_key

V1: Final = "wm.v1"
MOST_BYTES: Final = 8192
"""Of a head. Sanic's own limit is the same."""

_ALONE: Final = (b"host", b"upgrade", b"sec-websocket-key", b"sec-websocket-version")
"""Headers that must be there exactly once."""
_BODY: Final = (b"content-length", b"transfer-encoding", b"expect")

_Headers = dict[bytes, list[bytes]]


class Upgrade(NamedTuple):
    """What the client asked for.

    :param query: what comes after the question mark
    :param authorization: each such header's value
    :param answer: the 101 that accepts it
    :param size: bytes of the head; what follows are frames of a client in a hurry
    """

    query: str
    authorization: list[str]
    v1: bool
    answer: bytes
    size: int


class _Head:
    __slots__ = ("headers", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: _Headers = {}

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.setdefault(name.lower(), []).append(value)


def read_upgrade(data: bytes) -> Upgrade | None:
    """The upgrade that ``data`` begins with; None for all that is not one, not whole, or not as plain as can be.

    None refuses nothing: it means that somebody has to look more closely.
    """
    head = _Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade as upgrade:
        end: int = upgrade.args[0]
    except httptools.HttpParserError:
        return None
    else:
        return None
    plain = parser.get_method() == b"GET" and parser.get_http_version() == "1.1" and end <= MOST_BYTES
    return _read(head, end) if plain and _is_plain(head) else None


def _is_plain(head: _Head) -> bool:
    headers = head.headers
    return (
        head.url.startswith(b"/")
        and head.url.isascii()
        and all(len(headers.get(name, ())) == 1 for name in _ALONE)
        and not any(name in headers for name in _BODY)
        and headers[b"upgrade"][0].lower() == b"websocket"
        and headers[b"sec-websocket-version"][0] == b"13"
        and _is_key(headers[b"sec-websocket-key"][0])
    )


def _is_key(key: bytes) -> bool:
    """RFC 6455, 4.1: sixteen bytes in base64."""
    try:
        return len(b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


def _read(head: _Head, size: int) -> Upgrade | None:
    headers = head.headers
    offers = [offer.strip() for line in headers.get(b"sec-websocket-protocol", ()) for offer in line.split(b",")]
    v1 = V1.encode() in offers
    authorization = headers.get(b"authorization", [])
    if (offers and not v1) or not all(value.isascii() for value in authorization):
        return None
    query = httptools.parse_url(head.url).query or b""
    answer = _answer(headers[b"sec-websocket-key"][0], v1=v1)
    return Upgrade(query.decode(), [value.decode() for value in authorization], v1, answer, size)


def _answer(key: bytes, *, v1: bool) -> bytes:
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(key.decode())}",
    ]
    if v1:
        lines.append(f"Sec-WebSocket-Protocol: {V1}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
