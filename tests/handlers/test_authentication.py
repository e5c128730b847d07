"""Who opens a socket: header, ticket, token, in this order. (For routes, see test_auth.)"""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from sanic import Request
from sanic.response import HTTPResponse, json

from accounts.tokens import Claims
from handlers.authentication import authenticate_socket, judge_socket
from server.upgrade import Upgrade
from tests.support.api import Api, make_settings, serve

A, B = "919800000001", "919800000002"


@pytest.fixture
async def door(redis: object, valkey_url: str, database_url: str) -> AsyncIterator[Api]:
    """The HTTP side with one more route, which answers whom a socket would belong to."""

    async def who(request: Request) -> HTTPResponse:
        return json({"mobile": (await authenticate_socket(request, _anybody)).mobile})

    async with serve(make_settings(valkey_url, database_url), {"/who": who}) as running:
        yield running


async def _anybody(_claims: Claims) -> None:
    return


async def _token(api: Api, mobile: str) -> str:
    return (await api.person(mobile))["Authorization"].removeprefix("Bearer ")


async def _ticket(api: Api, token: str) -> str:
    answer = await api.client.post("/v1/tickets", headers={"Authorization": f"Bearer {token}"})
    return str(answer.json()["ticket"])


async def test_the_first_that_is_present_decides(door: Api) -> None:
    a, b = await _token(door, A), await _token(door, B)
    header = {"Authorization": f"Bearer {a}"}
    assert (await door.client.get(f"/who?token={b}", headers=header)).json() == {"mobile": A}
    assert (await door.client.get(f"/who?token={a}&ticket={await _ticket(door, b)}")).json() == {"mobile": B}
    assert (await door.client.get(f"/who?token={a}")).json() == {"mobile": A}
    spoiled = await door.client.get(f"/who?token={a}", headers={"Authorization": "Bearer spoiled"})
    assert (spoiled.status_code, spoiled.json()["code"]) == (401, "token_invalid")
    used = await door.client.get(f"/who?token={a}&ticket={'x' * 43}")
    assert (used.status_code, used.json()["code"]) == (401, "ticket_invalid")


async def test_a_ticket_opens_one_socket(door: Api) -> None:
    ticket = await _ticket(door, await _token(door, A))
    answers = [await door.client.get(f"/who?ticket={ticket}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]


async def test_a_logged_out_session_opens_none(door: Api) -> None:
    token = await _token(door, A)
    ticket = await _ticket(door, token)
    await door.client.post("/auth/logout", headers={"Authorization": f"Bearer {token}"})
    for query in (f"token={token}", f"ticket={ticket}"):
        answer = await door.client.get(f"/who?{query}")
        assert (answer.status_code, answer.json()["code"]) == (401, "session_revoked")


async def test_two_authorization_headers_are_one_too_many(door: Api) -> None:
    token = await _token(door, A)
    answer = await door.client.get("/who", headers=[("Authorization", f"Bearer {token}")] * 2)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 401, "token_missing"),
        ("token=", 401, "token_invalid"),
        ("ticket=", 401, "ticket_invalid"),
        ("token=a.b.c", 401, "token_invalid"),
        ("token=a&token=b", 400, "bad_request"),
        ("token=%00", 400, "bad_request"),
    ],
)
async def test_nobody_else_comes_in(door: Api, query: str, status: int, code: str) -> None:
    answer = await door.client.get(f"/who?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_key_before_opens_doors_after_a_rotation(redis: object, valkey_url: str, database_url: str) -> None:
    old, new = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
    async with serve(make_settings(valkey_url, database_url, jwt_secret=old)) as before:
        headers = await before.person(A)
    for previous, status in ((old, 200), ("", 401)):
        knobs = {"jwt_secret": new, "jwt_previous_secret": previous}
        async with serve(make_settings(valkey_url, database_url, **knobs)) as after:
            assert (await after.client.get("/block-action/list", headers=headers)).status_code == status


async def _judge(api: Api, query: str, authorization: list[str] | None = None) -> str | None:
    """Whom the door lets in without a request."""
    answer: asyncio.Future[Claims | None] = asyncio.get_running_loop().create_future()
    judge_socket(api.services, Upgrade(query, authorization or [], False, b"", 0), answer.set_result)
    claims = await asyncio.wait_for(answer, 5)
    return None if claims is None else claims.mobile


async def test_the_door_knows_whose_session_lives(door: Api) -> None:
    a, b = await _token(door, A), await _token(door, B)
    assert await _judge(door, f"token={a}") == A  # of whom Redis has not heard yet
    assert await _judge(door, f"token={a}") == A
    assert await _judge(door, f"token={b}", [f"Bearer {a}"]) == A
    assert await _judge(door, f"token={a}", ["Bearer spoiled"]) is None
    await door.client.post("/auth/logout", headers={"Authorization": f"Bearer {a}"})
    assert await _judge(door, f"token={a}") is None


async def test_the_door_uses_up_no_ticket(door: Api) -> None:
    token = await _token(door, A)
    ticket = await _ticket(door, token)
    assert await _judge(door, f"ticket={ticket}&token={token}") is None
    assert (await door.client.get(f"/who?ticket={ticket}")).status_code == 200


@pytest.mark.parametrize("query", ["", "token=", "token=a.b.c", "token=a&token=b", "token=%00", "ticket="])
async def test_the_door_lets_nobody_else_in(door: Api, query: str) -> None:
    assert await _judge(door, query) is None
