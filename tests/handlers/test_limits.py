"""Rate limits over HTTP: what is refused, how it says so, and who is not kept out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from accounts.passwords import Standing
from tests.support.api import PASSWORD, Api, make_settings, serve
from tools.devstack.valkey import Valkey

A, B = "919800000001", "919800000002"
FEW: dict[str, Any] = {
    "rate_limits": "on",
    "logins_burst": 4,
    "logins_per_address_burst": 1000,
    "logins_per_address_per_minute": 60_000,
    "logins_per_minute": 1,  # so that none comes back while a test runs
    "sign_ups_per_hour": 3,
    "lookups_burst": 4,
    "proxies": 1,  # so that people come from addresses of their own
}


@pytest.fixture
async def api(redis: "Redis", valkey_url: str, database_url: str) -> AsyncIterator[Api]:
    async with serve(make_settings(valkey_url, database_url, **FEW)) as running:
        yield running


def _from(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def _sign_up(api: Api, mobile: str, address: str = "10.9.9.9", password: str = PASSWORD) -> httpx.Response:
    form = {"name": "Asha", "mobileNo": mobile, "password": password}
    return await api.client.post("/auth/signin", json=form, headers=_from(address))


async def _log_in(api: Api, mobile: str, address: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    form = {"mobileNo": mobile, "password": password, **more}
    return await api.client.post("/auth/login", json=form, headers=_from(address))


def _limited(answer: httpx.Response) -> float:
    """Seconds to wait."""
    body = answer.json()
    assert (answer.status_code, body["code"]) == (429, "rate_limited")
    assert body["retryAfter"] > 0
    assert int(answer.headers["retry-after"]) >= body["retryAfter"]
    return float(body["retryAfter"])


async def test_wrong_passwords_are_soon_limited_but_not_the_owner_at_a_known_address(api: Api) -> None:
    await _sign_up(api, A)
    assert (await _log_in(api, A, "10.0.0.1")).status_code == 200
    answers = [await _log_in(api, A, f"10.1.0.{n}", "wrong horse") for n in range(1, 9)]
    assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 5
    _limited(answers[-1])
    right = await _log_in(api, A, "10.1.0.99")
    assert right.status_code == 429, "nor is the right one: else a guess could tell"
    assert (await _log_in(api, A, "10.0.0.1")).status_code == 200
    assert (await _log_in(api, B, "10.1.0.1", "wrong horse")).status_code == 401, "another number"


async def test_unknown_numbers_are_limited_in_the_same_way(api: Api) -> None:
    await _sign_up(api, A)
    seen = []
    for mobile in (A, B):
        answers = [await _log_in(api, mobile, "10.1.0.1", "wrong horse") for _ in range(6)]
        seen.append([(answer.status_code, answer.json()["code"]) for answer in answers])
    assert seen[0] == seen[1]


async def test_success_is_not_counted_as_failure(api: Api) -> None:
    await _sign_up(api, A)
    await _log_in(api, A, "10.0.0.1", deviceId="phone")
    await _log_in(api, A, "10.0.0.1", "wrong horse", deviceId="phone")
    assert (await _log_in(api, A, "10.0.0.1", deviceId="phone")).status_code == 200
    attempt = await api.services.logins.admit(A, "phone", "10.0.0.1")
    assert (attempt.known, attempt.used <= 3) == (True, True)


async def test_an_ipv6_network_of_64_bits_counts_as_one_address(
    redis: "Redis", valkey_url: str, database_url: str
) -> None:
    options = FEW | {"logins_per_address_burst": 2, "logins_per_address_per_minute": 1}
    async with serve(make_settings(valkey_url, database_url, **options)) as api:
        codes = [
            (await _log_in(api, f"91980000001{n}", f"2001:db8:1:2::{n}", "wrong horse")).status_code for n in range(4)
        ]
        assert codes == [401, 401, 429, 429]
        assert (await _log_in(api, A, "2001:db8:1:3::1", "wrong horse")).status_code == 401


async def test_sign_ups_of_an_address_are_limited_also_for_existing_numbers(api: Api) -> None:
    assert (await _sign_up(api, A)).status_code == 200
    assert [(await _sign_up(api, A)).status_code for _ in range(3)] == [409, 409, 429]
    assert 1000 < _limited(await _sign_up(api, B)) <= 1200
    assert (await _sign_up(api, B, "10.9.9.8")).status_code == 200


async def test_an_invalid_sign_up_takes_no_token(api: Api) -> None:
    for _ in range(5):
        assert (await _sign_up(api, A, password="123456")).status_code == 400
    assert (await _sign_up(api, A)).status_code == 200


@pytest.mark.parametrize("password", ["password", "PassWord", "777777", A, "9800000001"])
async def test_common_passwords_are_an_error_that_does_not_repeat_them(api: Api, password: str) -> None:
    answer = await _sign_up(api, A, password=password)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "bad_request")
    assert body["errors"][0]["field"] == "password"
    assert "too easy to guess" in body["message"]
    assert f"own {password}" not in answer.text
    assert A not in answer.text


async def test_an_existing_common_password_still_logs_in(api: Api) -> None:
    await api.services.directory.enrol("Asha", A, "123456", Standing())
    assert (await _log_in(api, A, "10.0.0.1", "123456")).status_code == 200


async def test_all_lookups_share_one_limit(api: Api) -> None:
    await _sign_up(api, A)
    headers = {"Authorization": f"Bearer {(await _log_in(api, A, '10.0.0.1')).json()['token']}"}
    get = api.client.get
    assert (await get("/profile/lastseen", params={"mobileNo": A}, headers=headers)).status_code == 200
    assert (await get("/profile/lastseen", params={"mobileNo": B}, headers=headers)).status_code == 404
    blocked = await api.client.post("/block-action/block", json={"blockedUserMobileNo": B}, headers=headers)
    unblocked = await api.client.delete("/block-action/unblock", params={"mobileNo": B}, headers=headers)
    assert (blocked.status_code, unblocked.status_code) == (404, 404)
    asked = len(api.notes.presence.asked)
    for answer in (
        await get("/profile/lastseen", params={"mobileNo": A}, headers=headers),
        await get("/profile/lastseen", params={"mobileNo": B}, headers=headers),
        await api.client.post("/block-action/block", json={"blockedUserMobileNo": B}, headers=headers),
        await api.client.delete("/block-action/unblock", params={"mobileNo": B}, headers=headers),
    ):
        assert 0 < _limited(answer) <= 5
    assert len(api.notes.presence.asked) == asked
    assert (await get("/block-action/list", headers=headers)).status_code == 200


async def test_without_redis_log_ins_fail_and_lookups_work(own_valkey: Valkey, database_url: str) -> None:
    async with serve(make_settings(own_valkey.url, database_url, **FEW, redis_connect_seconds=0.3)) as api:
        await _sign_up(api, A)
        headers = {"Authorization": f"Bearer {(await _log_in(api, A, '10.0.0.1')).json()['token']}"}
        await asyncio.to_thread(own_valkey.kill)
        for answer in (await _log_in(api, A, "10.0.0.1"), await _sign_up(api, B)):
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        for _ in range(6):
            answer = await api.client.get("/profile/lastseen", params={"mobileNo": A}, headers=headers)
            assert answer.status_code == 200
