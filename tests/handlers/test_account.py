"""The end of an account over HTTP: who may say so, what it answers, and that nothing is left."""

import pytest
from redis.asyncio import Redis

from delivery.keys import Person
from tests.support.api import PASSWORD, Api, make_settings, serve

A, B = "919800000001", "919800000002"


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
