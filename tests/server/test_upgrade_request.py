"""Which requests are plain upgrades."""

import pytest

from server.http_head import MAX_HEAD_BYTES
from server.upgrade_request import find_plain_upgrade

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEAD = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def head(line: str = "GET /any?token=a%20b HTTP/1.1", more: str = "", **changes: str | None) -> bytes:
    """A good head but for the changes; a None leaves the header out."""
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in (HEAD | named).items() if value is not None]
    return ("\r\n".join([line, *lines]) + "\r\n" + more + "\r\n").encode("latin-1")


def test_a_plain_one_is_read_and_answered_as_rfc_6455_wants_it() -> None:
    upgrade = find_plain_upgrade(head() + b"\x81\x80\0\0\0\0")
    assert upgrade is not None
    assert (upgrade.query, upgrade.authorization, upgrade.v1) == ("token=a%20b", [], False)
    assert upgrade.size == len(head())
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in upgrade.response
    assert b"Sec-WebSocket-Protocol" not in upgrade.response


@pytest.mark.parametrize("more", ["Sec-WebSocket-Protocol: a, wm.v1\r\n", "sec-websocket-protocol: wm.v1\r\n"])
def test_a_client_that_offers_our_subprotocol_gets_it(more: str) -> None:
    upgrade = find_plain_upgrade(head(more=more))
    assert upgrade is not None
    assert upgrade.v1
    assert upgrade.response.endswith(b"\r\nSec-WebSocket-Protocol: wm.v1\r\n\r\n")


@pytest.mark.parametrize("offer", ["wm.v2", "", "chat, superchat", "WM.V1", "@@"])
def test_a_client_that_offers_others_gets_none(offer: str) -> None:
    upgrade = find_plain_upgrade(head(more=f"Sec-WebSocket-Protocol: {offer}\r\n"))
    assert upgrade is not None
    assert not upgrade.v1
    assert b"Sec-WebSocket-Protocol" not in upgrade.response


def test_an_upgrade_header_is_a_list() -> None:
    assert find_plain_upgrade(head(Upgrade="h2c, WebSocket")) is not None
    assert find_plain_upgrade(head(Upgrade="h2c", more="Upgrade: websocket\r\n")) is not None


def test_other_headers_of_a_browser_do_not_matter() -> None:
    more = "Authorization: Bearer t\r\nOrigin: http://x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
    upgrade = find_plain_upgrade(head("GET / HTTP/1.1", more, Connection="keep-alive, Upgrade", Upgrade="WebSocket"))
    assert upgrade is not None
    assert (upgrade.query, upgrade.authorization) == ("", ["Bearer t"])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        head()[:-1],
        b"\x16\x03\x01\x02\0" * 9,
        head("POST / HTTP/1.1"),
        head("GET / HTTP/1.0"),
        head("GET http://x/ HTTP/1.1"),
        head("GET * HTTP/1.1"),
        head("GET /\xfc HTTP/1.1"),
        head(Host=None),
        head(more="Host: y\r\n"),
        head(Upgrade="h2c"),
        head(Upgrade=None),
        head(Connection="close"),
        head(Connection=None),
        head(Sec_WebSocket_Version="8"),
        head(Sec_WebSocket_Version=None),
        head(more="Sec-WebSocket-Version: 13\r\n"),
        head(Sec_WebSocket_Key=None),
        head(Sec_WebSocket_Key="short"),
        head(Sec_WebSocket_Key="AAAA"),
        head(Sec_WebSocket_Key="*" * 24),
        head(more=f"Sec-WebSocket-Key: {KEY}\r\n"),
        head(more="Content-Length: 0\r\n"),
        head(more="Transfer-Encoding: chunked\r\n"),
        head(more="Expect: 100-continue\r\n"),
        head(more="bad header\r\n"),
        head(more=f"X: {'x' * MAX_HEAD_BYTES}\r\n"),
    ],
)
def test_a_request_that_is_not_plain_is_left_to_sanic(data: bytes) -> None:
    assert find_plain_upgrade(data) is None
