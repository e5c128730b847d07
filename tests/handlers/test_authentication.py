"""Who opens a socket: header, ticket, token, in this order. (For routes, see test_auth.)"""

import secrets
from collections.abc import AsyncIterator

import pytest
from sanic import Request
from sanic.response import HTTPResponse, json

from accounts.tokens import Claims
from handlers.authentication import authenticate_socket
from handlers.services import services
from protocol.errors import ApiError
from server.upgrade_request import UpgradeRequest
from tests.support.api import Api, make_settings, serve

A, B = "919800000001", "919800000002"


@pytest.fixture
async def asking(redis: object, valkey_url: str, database_url: str) -> AsyncIterator[Api]:
    """The HTTP side with one more route, which answers whom a socket would belong to."""

    async def who(request: Request) -> HTTPResponse:
        upgrade = UpgradeRequest(request.query_string, request.headers.getall("authorization", []), False, b"", 0)
        return json({"mobile": (await authenticate_socket(services(request), upgrade, _anybody)).mobile})

    async with serve(make_settings(valkey_url, database_url), {"/who": who}) as running:
        yield running


async def _anybody(_claims: Claims) -> None:
    return


async def _token(api: Api, mobile: str) -> str:
    return (await api.person(mobile))["Authorization"].removeprefix("Bearer ")


async def _ticket(api: Api, token: str) -> str:
    answer = await api.client.post("/v1/tickets", headers={"Authorization": f"Bearer {token}"})
    return str(answer.json()["ticket"])


async def test_the_first_that_is_present_decides(asking: Api) -> None:
    a, b = await _token(asking, A), await _token(asking, B)
    header = {"Authorization": f"Bearer {a}"}
    assert (await asking.client.get(f"/who?token={b}", headers=header)).json() == {"mobile": A}
    assert (await asking.client.get(f"/who?token={a}&ticket={await _ticket(asking, b)}")).json() == {"mobile": B}
    assert (await asking.client.get(f"/who?token={a}")).json() == {"mobile": A}
    spoiled = await asking.client.get(f"/who?token={a}", headers={"Authorization": "Bearer spoiled"})
    assert (spoiled.status_code, spoiled.json()["code"]) == (401, "token_invalid")
    used = await asking.client.get(f"/who?token={a}&ticket={'x' * 43}")
    assert (used.status_code, used.json()["code"]) == (401, "ticket_invalid")


async def test_a_ticket_opens_one_socket(asking: Api) -> None:
    ticket = await _ticket(asking, await _token(asking, A))
    answers = [await asking.client.get(f"/who?ticket={ticket}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]


async def test_a_logged_out_session_opens_none(asking: Api) -> None:
    token = await _token(asking, A)
    ticket = await _ticket(asking, token)
    await asking.client.post("/auth/logout", headers={"Authorization": f"Bearer {token}"})
    for query in (f"token={token}", f"ticket={ticket}"):
        answer = await asking.client.get(f"/who?{query}")
        assert (answer.status_code, answer.json()["code"]) == (401, "session_revoked")


async def test_two_authorization_headers_are_one_too_many(asking: Api) -> None:
    token = await _token(asking, A)
    answer = await asking.client.get("/who", headers=[("Authorization", f"Bearer {token}")] * 2)
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
async def test_nobody_else_comes_in(asking: Api, query: str, status: int, code: str) -> None:
    answer = await asking.client.get(f"/who?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_key_before_works_after_a_rotation(redis: object, valkey_url: str, database_url: str) -> None:
    old, new = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
    async with serve(make_settings(valkey_url, database_url, jwt_secret=old)) as before:
        headers = await before.person(A)
    for previous, status in ((old, 200), ("", 401)):
        knobs = {"jwt_secret": new, "jwt_previous_secret": previous}
        async with serve(make_settings(valkey_url, database_url, **knobs)) as after:
            assert (await after.client.get("/block-action/list", headers=headers)).status_code == status


async def test_without_redeeming_a_ticket_is_refused_and_not_used_up(asking: Api) -> None:
    token = await _token(asking, A)
    ticket = await _ticket(asking, token)
    for query, code in ((f"ticket={ticket}&token={token}", "ticket_invalid"), ("", "token_missing")):
        upgrade = UpgradeRequest(query, [], False, b"", 0)
        with pytest.raises(ApiError, match=code):
            await authenticate_socket(asking.services, upgrade, _anybody, redeem_tickets=False)
    upgrade = UpgradeRequest(f"ticket={ticket}", [f"Bearer {token}"], False, b"", 0)
    assert (await authenticate_socket(asking.services, upgrade, _anybody, redeem_tickets=False)).mobile == A
    assert (await asking.client.get(f"/who?ticket={ticket}")).status_code == 200
