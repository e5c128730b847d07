"""A request to become a WebSocket: its head, read for both ways in (server.fast_upgrade, server.sanic_upgrade)."""

import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import Final, NamedTuple

import httptools
from websockets.utils import accept_key

from protocol.errors import ApiError
from server.http_head import Fields, bad_header, check_head, find_head_end, parse_fields, parse_list

V1: Final = "wm.v1"
VERSION: Final = b"13"
"""Of the WebSocket protocol: RFC 6455 knows no other."""

_NOT_PLAIN: Final = (b"content-length", b"transfer-encoding", b"expect")


class UpgradeRequest(NamedTuple):
    """What the client asked for.

    :param query: what comes after the question mark
    :param authorization: each such header's value
    :param v1: whether ``wm.v1`` was offered
    :param response: the 101 that accepts it
    :param size: bytes of the head; what follows are frames of a client that did not wait for the 101
    :param forwarded: what X-Forwarded-For lists; the last entry is the nearest proxy's
    """

    query: str
    authorization: list[str]
    v1: bool
    response: bytes
    size: int
    forwarded: Sequence[str] = ()


def asks_for_websocket(method: str, upgrade: list[str]) -> bool:
    """Whether a request wants to become a WebSocket.

    :param upgrade: the values of its Upgrade headers: a list, of which one may be meant for another server
    """
    return method == "GET" and any(each.strip().lower() == "websocket" for line in upgrade for each in line.split(","))


def find_plain_upgrade(data: bytes) -> UpgradeRequest | None:
    """The upgrade that ``data`` begins with; None for anything that is not one, not whole, or unusual in any way.

    None refuses nothing: Sanic's path reads the request and answers it.
    """
    end = find_head_end(data)
    if end < 0 or not data.startswith(b"GET /"):
        return None
    head = data[:end]
    try:
        check_head(head)
        fields = parse_fields(head)
        upgrade = [value.decode(errors="surrogateescape") for value in fields.get(b"upgrade", ())]
        if not asks_for_websocket("GET", upgrade) or any(name in fields for name in _NOT_PLAIN):
            return None
        return _parse(head, fields)
    except ApiError:
        return None


def parse_upgrade(head: bytes) -> UpgradeRequest:
    """What the client asked for, when its handshake is as RFC 6455 has it.

    :param head: one that :func:`server.http_head.check_head` accepted, of a request that asks for a WebSocket
    :raises ApiError: ``bad_request``, ``upgrade_required``
    """
    return _parse(head, parse_fields(head))


def _parse(head: bytes, fields: Fields) -> UpgradeRequest:
    line = head.partition(b"\r\n")[0]
    if not line.endswith(b" HTTP/1.1"):
        raise bad_header("Upgrade", "A WebSocket begins with a request of HTTP/1.1.")
    if b"upgrade" not in [each.lower() for each in parse_list(fields.get(b"connection", []))]:
        raise bad_header("Connection", "The Connection header of an upgrade says Upgrade.")
    if fields.get(b"sec-websocket-version") != [VERSION]:
        raise ApiError("upgrade_required")
    keys = fields.get(b"sec-websocket-key", [])
    if len(keys) != 1 or not _is_key(keys[0]):
        raise bad_header("Sec-WebSocket-Key", "Sec-WebSocket-Key is sixteen bytes in base64, once.")
    # Offers of other subprotocols are ignored, as the original did: the answer names no subprotocol then.
    v1 = V1.encode() in parse_list(fields.get(b"sec-websocket-protocol", []))
    authorization = [value.decode(errors="surrogateescape") for value in fields.get(b"authorization", ())]
    forwarded = [each.decode(errors="surrogateescape") for each in parse_list(fields.get(b"x-forwarded-for", []))]
    response = _response(keys[0], v1=v1)
    return UpgradeRequest(_query(line.split(b" ")[1]), authorization, v1, response, len(head) + 4, forwarded)


def _query(target: bytes) -> str:
    try:
        query: bytes = httptools.parse_url(target).query or b""
        return query.decode("ascii")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise ApiError("bad_request") from None


def _is_key(key: bytes) -> bool:
    """RFC 6455, 4.1: sixteen bytes in base64."""
    try:
        return len(b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


def _response(key: bytes, *, v1: bool) -> bytes:
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(key.decode())}",
    ]
    if v1:
        lines.append(f"Sec-WebSocket-Protocol: {V1}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
