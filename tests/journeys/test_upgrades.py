"""Who may open a socket, on both ways in, and that a refused upgrade costs its client no ticket. Real servers."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.server.support import RawClient, frame
from tests.support.people import Person, request, sign_up
from tests.support.stack import ServerGroup, Stack

UPGRADE = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
WAYS = ("", "http://x")
"""A plain path is judged by the fast upgrade, an absolute address by Sanic's request."""


@pytest.fixture(scope="module")
def group(lasting_stack: Stack) -> ServerGroup:
    return lasting_stack.start(workers=1, COOLDOWN_SECONDS="8")


@pytest.fixture(scope="module")
def narrow(lasting_stack: Stack) -> ServerGroup:
    """Two sockets from one address, and no more."""
    return lasting_stack.start(workers=1, SOCKETS_PER_ADDRESS="2")


@dataclass
class Answer:
    status: int
    head: str
    body: dict[str, Any]
    client: RawClient

    @property
    def seen(self) -> tuple[int, str]:
        """Status and code."""
        return self.status, self.body.get("code", "")


async def ask(
    group: ServerGroup, target: str, more: dict[str, str] | None = None, line: str = "GET {} HTTP/1.1"
) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", group.port)
    headers = UPGRADE | (more or {})
    lines = [line.format(target), *(f"{name}: {value}" for name, value in headers.items())]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
    status = int(head.split(" ")[1])
    body = {} if status == 101 else json.loads(await reader.read())
    if status != 101:
        writer.transport.abort()
    return Answer(status, head, body, RawClient(reader, writer))


async def ticket(group: ServerGroup, person: Person) -> str:
    answer = await request(group.url, person, "POST", "/v1/tickets")
    return str(answer.json()["ticket"])


@pytest.fixture
async def asha(group: ServerGroup) -> Person:
    return await sign_up(group.url)


@pytest.mark.parametrize("way", WAYS, ids=["fast", "sanic"])
@pytest.mark.parametrize(
    ("scheme", "query", "seen"),
    [
        ("Basic YTpi", "token={token}", (101, "")),
        ("Negotiate abc==", "token={token}", (101, "")),
        ("basic", "token={token}", (101, "")),
        ("", "token={token}", (101, "")),
        ("Basic YTpi", "", (401, "token_missing")),
        ("Basic YTpi", "token=x", (401, "token_invalid")),
        ("Bearer x", "token={token}", (401, "token_invalid")),
        ("Bearer", "token={token}", (401, "token_invalid")),
        ("bEARER {token}", "token=x", (101, "")),
    ],
)
async def test_only_a_bearer_header_is_ours(
    group: ServerGroup, asha: Person, way: str, scheme: str, query: str, seen: tuple[int, str]
) -> None:
    given = {"Authorization": scheme.format(token=asha.token)}
    answer = await ask(group, f"{way}/?{query.format(token=asha.token)}", given)
    assert answer.seen == seen
    answer.client.vanish()


@pytest.mark.parametrize("way", WAYS, ids=["fast", "sanic"])
async def test_another_scheme_beside_a_ticket_is_passed_over(group: ServerGroup, asha: Person, way: str) -> None:
    answer = await ask(group, f"{way}/?ticket={await ticket(group, asha)}", {"Authorization": "Basic YTpi"})
    assert answer.status == 101
    answer.client.vanish()


async def test_another_version_is_told_which_one_is_spoken(group: ServerGroup, asha: Person) -> None:
    answer = await ask(group, f"/?token={asha.token}", {"Sec-WebSocket-Version": "8"})
    assert answer.seen == (426, "upgrade_required")
    assert "\r\nsec-websocket-version: 13\r\n" in answer.head.lower()
    assert "\r\nupgrade: websocket\r\n" in answer.head.lower()


@pytest.mark.parametrize(
    ("more", "line", "seen"),
    [
        ({"Sec-WebSocket-Key": "AAAA"}, "GET {} HTTP/1.1", (400, "bad_request")),
        ({"Sec-WebSocket-Version": "8"}, "GET {} HTTP/1.1", (426, "upgrade_required")),
        ({"Connection": "close"}, "GET {} HTTP/1.1", (400, "bad_request")),
        ({}, "GET {} HTTP/1.0", (400, "bad_request")),
        ({"Content-Length": "3"}, "GET {} HTTP/1.1", (400, "bad_request")),
        ({"Host": "a b"}, "GET {} HTTP/1.1", (400, "bad_request")),
        ({"Authorization": "Bearer x"}, "GET {} HTTP/1.1", (401, "token_invalid")),
    ],
)
async def test_a_handshake_that_is_refused_uses_up_no_ticket(
    group: ServerGroup, asha: Person, more: dict[str, str], line: str, seen: tuple[int, str]
) -> None:
    secret = await ticket(group, asha)
    for way in WAYS:
        assert (await ask(group, f"{way}/?ticket={secret}", more, line)).seen == seen
    answer = await ask(group, f"/?ticket={secret}")
    assert answer.status == 101
    answer.client.vanish()
    assert (await ask(group, f"/?ticket={secret}")).seen == (401, "ticket_invalid")


async def test_where_there_is_no_place_no_ticket_is_used_up(narrow: ServerGroup) -> None:
    people = [await sign_up(narrow.url) for _ in range(3)]
    inside = [await ask(narrow, f"/?token={person.token}") for person in people[:2]]
    assert [answer.status for answer in inside] == [101, 101]
    secret = await ticket(narrow, people[2])
    for way in WAYS:
        assert (await ask(narrow, f"{way}/?ticket={secret}")).seen == (429, "too_many_connections")
    inside[0].client.vanish()
    for _ in range(100):
        answer = await ask(narrow, f"/?ticket={secret}")
        if answer.status != 429:
            break
        await asyncio.sleep(0.05)
    assert answer.status == 101
    inside[1].client.vanish()
    answer.client.vanish()


async def test_who_has_to_wait_keeps_their_ticket(group: ServerGroup, asha: Person) -> None:
    offender = (await ask(group, f"/?token={asha.token}")).client
    offender.writer.write(frame(1, b"x")[:1] + b"\x01x")  # a frame that is not masked
    assert await offender.close_code() == 1002
    secret = await ticket(group, asha)
    refused = await asyncio.gather(*(ask(group, f"{way}/?ticket={secret}") for way in WAYS))
    assert [answer.seen for answer in refused] == [(429, "too_many_requests")] * 2
    assert all("\r\nretry-after: " in answer.head.lower() for answer in refused)
    answer = await ask(group, f"/?ticket={secret}")  # is held back until the time is over
    assert answer.status == 101
    answer.client.vanish()


def test_nothing_of_this_was_an_error_of_ours(group: ServerGroup, narrow: ServerGroup) -> None:
    for log in (group.log_text(), narrow.log_text()):
        assert "Traceback" not in log
        assert '"level": "error"' not in log
