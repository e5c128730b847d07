"""Two ways lead in (server.fast_upgrade, server.sanic_upgrade). To every handshake both give the same answer."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from tests.server.support import LocalServer, serving

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}
NOT_A_SOCKET, TAKEN, BAD, VERSION = 200, 101, 400, 426
Variant = tuple[int, dict[str, str | None], str]


def _but(status: int, more: str = "", **changes: str | None) -> Variant:
    return status, {name.replace("_", "-"): value for name, value in changes.items()}, more


VARIANTS: dict[str, Variant] = {
    "good": _but(TAKEN),
    "keep-alive, Upgrade": _but(TAKEN, Connection="keep-alive, Upgrade"),
    "connection in lower case": _but(TAKEN, Connection="upgrade"),
    "connection in two lines": _but(TAKEN, "Connection: keep-alive\r\n"),
    "connection with empty places": _but(TAKEN, Connection=", ,\tUpgrade ,"),
    "connection close": _but(BAD, Connection="close"),
    "connection looks alike": _but(BAD, Connection="Upgrades"),
    "no connection": _but(BAD, Connection=None),
    "upgrade in capitals": _but(TAKEN, Upgrade="WEBSOCKET"),
    "upgrade with spaces": _but(TAKEN, Upgrade=" \twebsocket\t "),
    "upgrade to h2c or websocket": _but(TAKEN, Upgrade="h2c, websocket"),
    "upgrade in two lines": _but(TAKEN, "Upgrade: websocket\r\n", Upgrade="h2c"),
    "upgrade twice": _but(TAKEN, "Upgrade: websocket\r\n"),
    "upgrade to h2c": _but(NOT_A_SOCKET, Upgrade="h2c"),
    "upgrade to something like it": _but(NOT_A_SOCKET, Upgrade="websocket2"),
    "upgrade empty": _but(NOT_A_SOCKET, Upgrade=""),
    "no upgrade": _but(NOT_A_SOCKET, Upgrade=None),
    "version 8": _but(VERSION, Sec_WebSocket_Version="8"),
    "version 0": _but(VERSION, Sec_WebSocket_Version="0"),
    "version 13.0": _but(VERSION, Sec_WebSocket_Version="13.0"),
    "version 013": _but(VERSION, Sec_WebSocket_Version="013"),
    "version a list": _but(VERSION, Sec_WebSocket_Version="13, 8"),
    "version empty": _but(VERSION, Sec_WebSocket_Version=""),
    "no version": _but(VERSION, Sec_WebSocket_Version=None),
    "two versions": _but(VERSION, "Sec-WebSocket-Version: 8\r\n"),
    "the version twice": _but(VERSION, "Sec-WebSocket-Version: 13\r\n"),
    "no key": _but(BAD, Sec_WebSocket_Key=None),
    "empty key": _but(BAD, Sec_WebSocket_Key=""),
    "short key": _but(BAD, Sec_WebSocket_Key="AAAA"),
    "long key": _but(BAD, Sec_WebSocket_Key="A" * 24),
    "key of other letters": _but(BAD, Sec_WebSocket_Key="*" * 24),
    "key without padding": _but(BAD, Sec_WebSocket_Key=KEY.rstrip("=")),
    "key with a space in it": _but(BAD, Sec_WebSocket_Key="dGhlIHNhbXBs ZSBub25jZQ=="),
    "key with spaces around": _but(TAKEN, Sec_WebSocket_Key=f"  {KEY} "),
    "two keys": _but(BAD, f"Sec-WebSocket-Key: {KEY}\r\n"),
    "offers wm.v1": _but(TAKEN, "Sec-WebSocket-Protocol: wm.v1\r\n"),
    "offers wm.v1 last": _but(TAKEN, "Sec-WebSocket-Protocol: a, wm.v1\r\n"),
    "offers in two lines": _but(TAKEN, "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: wm.v1\r\n"),
    "offers wm.v1 twice": _but(TAKEN, "Sec-WebSocket-Protocol: wm.v1, wm.v1\r\n"),
    "offers nothing": _but(TAKEN, "Sec-WebSocket-Protocol:\r\n"),
    "offers empty places": _but(TAKEN, "Sec-WebSocket-Protocol: , ,\r\n"),
    "offers another": _but(TAKEN, "Sec-WebSocket-Protocol: chat\r\n"),
    "offers wm.v2": _but(TAKEN, "Sec-WebSocket-Protocol: wm.v2\r\n"),
    "offers it in capitals": _but(TAKEN, "Sec-WebSocket-Protocol: WM.V1\r\n"),
    "offers no token and wm.v1": _but(TAKEN, "Sec-WebSocket-Protocol: @@, wm.v1\r\n"),
    "offers two words and wm.v1": _but(TAKEN, "Sec-WebSocket-Protocol: a b, wm.v1\r\n"),
    "offers no token": _but(TAKEN, "Sec-WebSocket-Protocol: @@\r\n"),
    "offers letters of elsewhere": _but(TAKEN, "Sec-WebSocket-Protocol: ü, wm.v1\r\n"),
    "deflate": _but(TAKEN, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"),
    "extensions malformed": _but(TAKEN, "Sec-WebSocket-Extensions: ;;,=\r\n"),
    "origin": _but(TAKEN, "Origin: http://elsewhere.example\r\n"),
    "origin null": _but(TAKEN, "Origin: null\r\n"),
    "two origins": _but(TAKEN, "Origin: http://a\r\nOrigin: http://b\r\n"),
    "authorization": _but(TAKEN, "Authorization: Bearer abc\r\n"),
    "authorization of elsewhere": _but(TAKEN, "Authorization: Bearer ü\r\n"),
    "basic": _but(TAKEN, "Authorization: Basic YTpi\r\n"),
    "a cookie of 9 KiB": _but(TAKEN, f"Cookie: a={'x' * 9000}\r\n"),
    "a head of 20 KiB": _but(431, f"Cookie: a={'x' * 20_000}\r\n"),
    "no body": _but(TAKEN, "Content-Length: 0\r\n"),
    "a body": _but(BAD, "Content-Length: 5\r\n"),
    "a chunked body": _but(BAD, "Transfer-Encoding: chunked\r\n"),
    "expect": _but(TAKEN, "Expect: 100-continue\r\n"),
    "no host": _but(BAD, Host=None),
    "two hosts": _but(BAD, "Host: y\r\n"),
    "host not a host": _but(BAD, Host="a b"),
    "space before a colon": _but(BAD, "X : 1\r\n"),
    "folded line": _but(BAD, "X: 1\r\n 2\r\n"),
    "no colon": _but(BAD, "no header\r\n"),
    "control character": _but(BAD, "X: \x01\r\n"),
    "tab in a value": _but(TAKEN, "X: a\tb\r\n"),
    "empty name": _but(BAD, ": x\r\n"),
}


class Answer(NamedTuple):
    """What decides for a client."""

    status: int
    code: str
    headers: dict[str, str]


DECIDING = ("upgrade", "connection", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions")


async def ask(local: LocalServer, first: str, variant: Variant) -> Answer:
    _, changes, more = variant
    lines = [f"{name}: {value}" for name, value in (GOOD | changes).items() if value is not None]
    said = "\r\n".join([first, *lines]) + "\r\n" + more + "\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
    writer.write(said.encode())
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)).decode()
    status = int(head.split(" ")[1])
    body = b"" if status == TAKEN else await reader.read(2000)
    writer.transport.abort()
    code = re.search(rb'"code": ?"(\w+)"', body)
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
    kept = {name: fields[name] for name in DECIDING if name in fields} if status == TAKEN else {}
    return Answer(status, code[1].decode() if code else "", kept)


@pytest.fixture
async def local() -> AsyncIterator[LocalServer]:
    async with serving() as opened:
        yield opened


@pytest.mark.parametrize("name", VARIANTS)
async def test_a_handshake_gets_the_same_answer_on_both(local: LocalServer, name: str) -> None:
    variant = VARIANTS[name]
    fast = await ask(local, "GET /any?token=x HTTP/1.1", variant)
    asked = len(local.asked)
    absolute = await ask(local, "GET http://x/any?token=x HTTP/1.1", variant)
    assert len(local.asked) == asked, "an absolute address is Sanic's"
    sanic = await ask(local, "GET /any?sanic=x HTTP/1.1", variant)
    local.fast = False
    alone = await ask(local, "GET /any?token=x HTTP/1.1", variant)
    assert fast == sanic == absolute == alone
    assert fast.status == (404 if variant[0] == NOT_A_SOCKET else variant[0])
    if fast.status == TAKEN:
        assert ("sec-websocket-protocol" in fast.headers) == ("wm.v1\r\n" in variant[2])


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ("GET /a?b=c HTTP/1.0", 400),
        ("GET http://x/ HTTP/1.0", 400),
        ("POST / HTTP/1.1", 405),
        ("HEAD / HTTP/1.1", 405),
        ("GET //a HTTP/1.1", 101),
        ("GET /../a HTTP/1.1", 101),
        ("GET /%2E?x=%zz HTTP/1.1", 101),
        ("GET /?a#b HTTP/1.1", 101),
        ("GET /ü HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET any HTTP/1.1", 400),
        ("GET http://[x HTTP/1.1", 400),
    ],
)
async def test_a_request_line_gets_the_same_answer_on_both(local: LocalServer, first: str, status: int) -> None:
    fast = await ask(local, first, _but(status))
    local.fast = False
    assert fast == await ask(local, first, _but(status))
    assert fast.status == status


async def test_the_plain_ones_take_the_short_way(local: LocalServer) -> None:
    for name in ("good", "offers wm.v1", "offers another", "basic", "two origins", "upgrade to h2c or websocket"):
        before = len(local.asked)
        await ask(local, "GET / HTTP/1.1", VARIANTS[name])
        assert len(local.asked) == before + 1, name
