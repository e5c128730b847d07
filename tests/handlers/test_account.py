"""The end of an account over HTTP, and another number: who may say so, what it answers, and that nothing is left."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from delivery.keys import Person
from models import Departure
from protocol.errors import ApiError
from tests.support.api import PASSWORD, Api, make_settings, serve

A, B, NEW = "919800000001", "919800000002", "919800000009"


@pytest.fixture
async def asha(api: Api) -> dict[str, str]:
    """A's headers; B exists."""
    await api.sign_up(B, "Bela")
    return await api.person(A, "Asha")


async def test_a_deleted_account_is_gone_and_its_number_is_free(api: Api, asha: dict[str, str], redis: "Redis") -> None:
    tablet = await api.login(A, deviceId="tablet")
    answer = await api.client.request("DELETE", "/v1/me", json={"password": PASSWORD}, headers=asha)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "message": "account deleted"})
    for headers in (asha, tablet):
        after = await api.client.get("/v1/me", headers=headers)
        assert (after.status_code, after.json()["code"]) == (401, "session_revoked")
    assert len(api.notes.closed) == 2
    login = await api.client.post("/auth/login", json={"mobileNo": A, "password": PASSWORD})
    assert login.json()["code"] == "credentials_wrong"
    bela = await api.login(B)
    for path in (f"/profile/lastseen?mobileNo={A}", f"/block-action/unblock?mobileNo={A}"):
        method = "GET" if "lastseen" in path else "DELETE"
        assert (await api.client.request(method, path, headers=bela)).json()["code"] == "no_such_person"
    assert {name.decode() for name in await redis.keys(f"*{{{A}}}*")} == {Person(A).left_by}
    again = await api.person(A, "The next")
    profile = (await api.client.get("/v1/me", headers=again)).json()
    assert (profile["name"], profile["about"]) == ("The next", "")
    assert (await api.client.get("/v1/me", headers=asha)).json()["code"] == "session_revoked"


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"password": "wrong horse"}, 403, "password_wrong"),
        ({"password": "x" * 73}, 400, "bad_request"),
        ({"password": ""}, 400, "bad_request"),
        ({}, 400, "bad_request"),
    ],
)
async def test_without_the_password_nothing_happens(
    api: Api, asha: dict[str, str], form: dict[str, str], status: int, code: str
) -> None:
    answer = await api.client.request("DELETE", "/v1/me", json=form, headers=asha)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await api.client.get("/v1/me", headers=asha)).status_code == 200


async def test_a_stolen_token_cannot_guess_the_password(redis: "Redis", valkey_url: str, database_url: str) -> None:
    few = {"logins_burst": 3, "logins_per_minute": 1, "sign_ups_per_hour": 9}
    async with serve(make_settings(valkey_url, database_url, rate_limits="on", **few)) as api:
        asha = await api.person(A)
        codes = []
        for n in range(6):
            answer = await api.client.request("DELETE", "/v1/me", json={"password": f"guess {n}"}, headers=asha)
            codes.append(answer.json()["code"])
        assert codes[-1] == "rate_limited"
        assert set(codes) == {"password_wrong", "rate_limited"}


# ---- another number


async def _change(api: Api, headers: dict[str, str], mobile: str = NEW, password: str = PASSWORD) -> httpx.Response:
    form = {"mobileNo": mobile, "password": password}
    return await api.client.post("/v1/me/number", json=form, headers=headers)


async def test_the_account_goes_on_under_its_new_number_with_new_tokens(
    api: Api, asha: dict[str, str], redis: "Redis"
) -> None:
    tablet, bela = await api.login(A, deviceId="tablet"), await api.login(B)
    await api.client.post("/block-action/block", json={"blockedUserMobileNo": B}, headers=asha)
    await api.client.post("/block-action/block", json={"blockedUserMobileNo": A}, headers=bela)
    before = (await api.client.get("/v1/me", headers=asha)).json()
    answer = await _change(api, asha, f"+{NEW}")
    assert answer.status_code == 200
    given = answer.json()
    assert (given["message"], given["mobileNo"], given["id"]) == ("number changed", NEW, before["id"])
    for headers in (asha, tablet):
        after = await api.client.get("/v1/me", headers=headers)
        assert (after.status_code, after.json()["code"]) == (401, "session_revoked")
    assert len(api.notes.moved) == 1
    mine = {"Authorization": f"Bearer {given['token']}"}
    assert (await api.client.get("/v1/me", headers=mine)).json() == {**before, "mobileNo": NEW}
    refreshed = await api.client.post("/auth/refresh", json={"refreshToken": given["refreshToken"]})
    assert refreshed.json()["mobileNo"] == NEW
    blocked = (await api.client.get("/block-action/list", headers=mine)).json()["data"]
    assert [person["mobileNo"] for person in blocked] == [B], "one's own blocks stay"
    assert (await api.client.get("/block-action/list", headers=bela)).json()["data"] == []
    kinds = [event["kind"] for event in (await api.client.get("/v1/events", headers=mine)).json()["data"]]
    assert kinds[0] == "number_changed"
    seen = await api.client.get(f"/profile/lastseen?mobileNo={A}", headers=bela)
    assert seen.json()["code"] == "no_such_person", "the old number says nothing"
    assert {name.decode() for name in await redis.keys(f"*{{{A}}}*")} == {Person(A).left_by}
    assert (await api.client.post("/auth/login", json={"mobileNo": A, "password": PASSWORD})).status_code == 401
    assert await api.login(NEW)
    await redis.flushall()
    for headers in (asha, tablet):
        after = await api.client.get("/v1/me", headers=headers)
        assert after.json()["code"] == "session_revoked", "PostgreSQL knows it as well"
    following = await api.person(A, "The next")
    assert (await api.client.get("/v1/events", headers=following)).json()["data"][-1]["kind"] == "login"


async def test_one_may_go_back_to_a_number_that_is_free(api: Api, asha: dict[str, str], redis: "Redis") -> None:
    for mobile in (NEW, A, NEW, A):
        answer = await _change(api, asha, mobile)
        assert answer.status_code == 200, answer.json()
        asha = {"Authorization": f"Bearer {answer.json()['token']}"}
        assert not await redis.exists(Person(mobile).left_by), "or their record would not be loaded any more"


@pytest.mark.parametrize(
    ("mobile", "password", "status", "code"),
    [
        (NEW, "wrong horse", 403, "password_wrong"),
        (B, PASSWORD, 409, "already_exists"),
        (A, PASSWORD, 400, "bad_request"),
        ("12", PASSWORD, 400, "bad_mobile"),
        (NEW, "", 400, "bad_request"),
    ],
)
async def test_a_change_that_is_refused_changes_nothing(
    api: Api, asha: dict[str, str], mobile: str, password: str, status: int, code: str
) -> None:
    answer = await _change(api, asha, mobile, password)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await api.client.get("/v1/me", headers=asha)).json()["mobileNo"] == A


@pytest.mark.parametrize("step", ["reload", "leave", "clear"])
async def test_cut_off_behind_the_change_the_old_number_waits_until_the_rest_is_done(
    api: Api, asha: dict[str, str], redis: "Redis", monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def away(*_: Any) -> int:
        raise ApiError("unavailable")

    leaving = api.services.departures
    with monkeypatch.context() as patch:
        patch.setattr(leaving.clearing, step, away)
        answer = await _change(api, asha)
    assert answer.json()["mobileNo"] == NEW, "PostgreSQL has it"
    refused = await api.client.post("/auth/signin", json={"name": "Eve", "mobileNo": A, "password": PASSWORD})
    assert refused.json()["code"] == "number_resting"
    (left,) = await leaving.unfinished()
    for _ in range(2):
        assert await leaving.finish(left)
    assert {name.decode() for name in await redis.keys(f"*{{{A}}}*")} == {Person(A).left_by}
    assert (await api.client.get("/v1/me", headers=asha)).json()["code"] == "session_revoked"
    await api.sign_up(A, "The next")


async def test_a_number_that_was_left_is_not_free_at_once(api: Api, asha: dict[str, str]) -> None:
    await Departure.create(mobile_no=NEW, account_id=uuid.uuid4(), sessions=[])
    answer = await _change(api, asha)
    assert (answer.status_code, answer.json()["code"]) == (503, "number_resting")
    assert int(answer.headers["retry-after"]) > 0
    assert (await api.client.get("/v1/me", headers=asha)).json()["mobileNo"] == A
    assert await Departure.all().count() == 1


async def test_a_number_is_changed_a_few_times_a_day(redis: "Redis", valkey_url: str, database_url: str) -> None:
    more = {"logins_burst": 50, "logins_per_address_burst": 50, "sign_ups_per_hour": 9}
    async with serve(make_settings(valkey_url, database_url, rate_limits="on", **more)) as api:
        headers = await api.person(A)
        for n in range(3):
            answer = await _change(api, headers, f"91980000002{n}")
            headers = {"Authorization": f"Bearer {answer.json()['token']}"}
        refused = await _change(api, headers)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.json()["retryAfter"] > 28_000, "it counts for the account, whatever its number"


async def test_of_two_who_want_one_number_one_has_it(api: Api, asha: dict[str, str]) -> None:
    bela = await api.login(B)
    answers = await asyncio.gather(_change(api, asha), _change(api, bela))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    codes = {answer.json().get("code") for answer in answers}
    assert "already_exists" in codes


async def test_of_two_changes_of_one_person_at_once_one_is_done(api: Api, asha: dict[str, str]) -> None:
    answers = await asyncio.gather(_change(api, asha), _change(api, asha, f"{NEW[:-1]}8"))
    assert sorted(answer.status_code for answer in answers) == [200, 401]
