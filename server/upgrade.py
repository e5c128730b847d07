"""A request to become a WebSocket: one judgement of its head, for both ways in (server.door, and Sanic's requests)."""

import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import Final, NamedTuple

import httptools
from websockets.utils import accept_key

from protocol.errors import ApiError
from server.heads import Fields, check_head, find_end, malformed, read_fields, read_list

V1: Final = "wm.v1"
VERSION: Final = b"13"
"""Of the WebSocket protocol: RFC 6455 knows no other."""

_NOT_PLAIN: Final = (b"content-length", b"transfer-encoding", b"expect")


class Upgrade(NamedTuple):
    """What the client asked for.

    :param query: what comes after the question mark
    :param authorization: each such header's value
    :param forwarded: what X-Forwarded-For lists, the nearest proxy's word last
    :param answer: the 101 that accepts it
    :param size: bytes of the head; what follows are frames of a client in a hurry
    """

    query: str
    authorization: list[str]
    v1: bool
    answer: bytes
    size: int
    forwarded: Sequence[str] = ()


def asks_for_socket(method: str, upgrade: list[str]) -> bool:
    """Whether a request wants to become a WebSocket.

    :param upgrade: the values of its Upgrade headers: a list, of which one may be meant for somebody else
    """
    return method == "GET" and any(each.strip().lower() == "websocket" for line in upgrade for each in line.split(","))


def read_upgrade(data: bytes) -> Upgrade | None:
    """The upgrade that ``data`` begins with; None for all that is not one, not whole, or not as plain as can be.

    None refuses nothing: it means that somebody has to look more closely.
    """
    end = find_end(data)
    if end < 0 or not data.startswith(b"GET /"):
        return None
    head = data[:end]
    try:
        check_head(head)
        fields = read_fields(head)
        wanted = [value.decode(errors="surrogateescape") for value in fields.get(b"upgrade", ())]
        if not asks_for_socket("GET", wanted) or any(name in fields for name in _NOT_PLAIN):
            return None
        return _judge(head, fields)
    except ApiError:
        return None


def judge_upgrade(head: bytes) -> Upgrade:
    """What the client asked for, when its handshake is as RFC 6455 has it.

    :param head: that :func:`server.heads.check_head` has let pass, of a request that asks for a WebSocket
    :raises ApiError: ``bad_request``, ``upgrade_required``
    """
    return _judge(head, read_fields(head))


def _judge(head: bytes, fields: Fields) -> Upgrade:
    line = head.partition(b"\r\n")[0]
    if not line.endswith(b" HTTP/1.1"):
        raise malformed("Upgrade", "A WebSocket begins with a request of HTTP/1.1.")
    if b"upgrade" not in [each.lower() for each in read_list(fields.get(b"connection", []))]:
        raise malformed("Connection", "The Connection header of an upgrade says Upgrade.")
    if fields.get(b"sec-websocket-version") != [VERSION]:
        raise ApiError("upgrade_required")
    keys = fields.get(b"sec-websocket-key", [])
    if len(keys) != 1 or not _is_key(keys[0]):
        raise malformed("Sec-WebSocket-Key", "Sec-WebSocket-Key is sixteen bytes in base64, once.")
    # Offers of others are passed over, as the original did: the answer names no subprotocol then.
    v1 = V1.encode() in read_list(fields.get(b"sec-websocket-protocol", []))
    authorization = [value.decode(errors="surrogateescape") for value in fields.get(b"authorization", ())]
    forwarded = [each.decode(errors="surrogateescape") for each in read_list(fields.get(b"x-forwarded-for", []))]
    return Upgrade(_query(line.split(b" ")[1]), authorization, v1, _answer(keys[0], v1=v1), len(head) + 4, forwarded)


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
