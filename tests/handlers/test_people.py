"""One's own profile, and people found by their numbers."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from delivery.rate_limits import address_lookups, lookups, number_changes, sign_ups
from handlers.lookups import most_lookups
from models import User
from tests.support.api import Api, make_settings, serve

A, B, C = "919800000001", "919800000002", "919800000003"
YEAR = 365.25 * 86_400


@pytest.fixture
async def asha(api: Api) -> dict[str, str]:
    """A's headers; B exists."""
    await api.sign_up(B, "Bela")
    return await api.person(A, "Asha")


async def _me(api: Api, headers: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = (await api.client.get("/v1/me", headers=headers)).raise_for_status().json()
    return found


async def _look_up(api: Api, headers: dict[str, str], *numbers: str) -> httpx.Response:
    return await api.client.post("/v1/people/lookup", json={"mobileNos": numbers}, headers=headers)


async def test_a_profile_begins_with_what_was_said_at_sign_up(api: Api, asha: dict[str, str]) -> None:
    user = await User.get(mobile_no=A)
    created = user.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert await _me(api, asha) == {
        "success": True,
        "id": str(user.id),
        "name": "Asha",
        "about": "",
        "mobileNo": A,
        "deviceId": "primary",
        "createdAt": created,
    }


async def test_what_is_not_given_stays(api: Api, asha: dict[str, str]) -> None:
    for change, name, about in [
        ({"about": "  At\u00a0the sea 🌊 "}, "Asha", "At the sea 🌊"),
        ({"name": "Asha K."}, "Asha K.", "At the sea 🌊"),
        ({}, "Asha K.", "At the sea 🌊"),
        ({"about": "", "name": "Asha"}, "Asha", ""),
    ]:
        answer = await api.client.patch("/v1/me", json=change, headers=asha)
        assert (answer.status_code, answer.json()["name"], answer.json()["about"]) == (200, name, about)
        assert answer.json() == await _me(api, asha)


BAD_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"name": "x"}, "name"),
    ({"name": None}, "name"),
    ({"name": "Аdmin"}, "name"),
    ({"about": None}, "about"),
    ({"about": 5}, "about"),
    ({"about": "x" * 141}, "about"),
    ({"about": "x" * 2000}, "about"),
    ({"about": "two\nlines"}, "about"),
    ({"about": "turned \u202e round"}, "about"),
    ({"about": "nothing \u200b here"}, "about"),
    ({"about": "z" + "\u0301\u0302\u0303\u0304" * 9}, "about"),
    ({"name": "Asha Kumari", "about": "a\u0000"}, "about"),
]


async def test_a_change_is_refused_by_the_name_of_its_field_and_changes_nothing(api: Api, asha: dict[str, str]) -> None:
    before = await _me(api, asha)
    for change, field in BAD_CHANGES:
        print(change)
        answer = await api.client.patch("/v1/me", json=change, headers=asha)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await _me(api, asha) == before


async def test_without_a_token_there_is_no_profile(api: Api) -> None:
    for method, path in (("GET", "/v1/me"), ("PATCH", "/v1/me"), ("POST", "/v1/people/lookup")):
        answer = await api.client.request(method, path, json={})
        assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")


async def test_people_are_found_however_their_numbers_are_written(api: Api, asha: dict[str, str]) -> None:
    await api.sign_up(C, "Chand")
    await api.client.patch("/v1/me", json={"about": "here"}, headers=asha)
    answer = await _look_up(api, asha, "919800009999", f"+{C}", "91-98000 00003", B, A, "0098")
    assert answer.json() == {
        "success": True,
        "data": [
            {"index": 1, "mobileNo": C, "name": "Chand"},
            {"index": 3, "mobileNo": B, "name": "Bela"},
            {"index": 4, "mobileNo": A, "name": "Asha", "about": "here"},
        ],
        "errors": [{"field": "mobileNos[5]", "message": answer.json()["errors"][0]["message"]}],
    }


BAD_LISTS: list[Any] = [[], [B] * 101, [5], B, None, [[B]], ["9" * 65]]


async def test_a_list_that_is_none_or_too_long_is_refused_by_name(api: Api, asha: dict[str, str]) -> None:
    for numbers in BAD_LISTS:
        print(numbers)
        answer = await api.client.post("/v1/people/lookup", json={"mobileNos": numbers}, headers=asha)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "mobileNos")


async def test_a_blocked_asker_learns_nothing(api: Api, asha: dict[str, str]) -> None:
    before = await _look_up(api, asha, B, C)
    bela = await api.login(B)
    await api.client.post("/block-action/block", json={"blockedUserMobileNo": A}, headers=bela)
    after = await _look_up(api, asha, B, C)
    assert after.content == before.content
    assert json.loads(after.content)["data"] == [{"index": 0, "mobileNo": B, "name": "Bela"}]


# ---- what it costs


@pytest.fixture
async def limited(redis: "Redis", valkey_url: str, database_url: str) -> AsyncIterator[Api]:
    few = {
        "lookups_burst": 10,
        "lookups_per_address_burst": 14,
        "account_requests_burst": 3,
        "sign_ups_per_hour": 100,
        "proxies": 1,
    }
    async with serve(make_settings(valkey_url, database_url, rate_limits="on", **few)) as running:
        yield running


async def test_each_number_costs_a_token_of_the_person_and_one_of_the_address(limited: Api) -> None:
    async def person(mobile: str, address: str) -> dict[str, str]:
        limited.client.headers["X-Forwarded-For"] = address
        return await limited.person(mobile) | {"X-Forwarded-For": address}

    asha, bela, far = await person(A, "10.0.0.1"), await person(B, "10.0.0.1"), await person(C, "10.0.0.2")
    numbers = [f"9198000010{n:02}" for n in range(10)]
    assert (await _look_up(limited, asha, *numbers[:6], numbers[0])).status_code == 200, "six different numbers"
    refused = await _look_up(limited, asha, *numbers[:5])
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 0 < refused.json()["retryAfter"] <= 5, "one token comes back in five seconds"
    assert (await _look_up(limited, asha, *numbers[:4])).status_code == 200, "a refusal cost nothing"
    assert (await _look_up(limited, bela, *numbers[:4])).status_code == 200
    assert (await _look_up(limited, bela, numbers[0])).status_code == 429, "the address has used up its fourteen"
    seen = await limited.client.get(f"/profile/lastseen?mobileNo={A}", headers=bela)
    assert seen.status_code == 429, "each question about a number counts for the address"
    assert (await _look_up(limited, far, *numbers)).status_code == 200
    assert (await _look_up(limited, far, "12")).status_code == 429, "nothing that can be read costs one"


async def test_requests_about_the_own_account_are_limited(limited: Api) -> None:
    limited.client.headers["X-Forwarded-For"] = "10.0.0.1"
    asha = await limited.person(A)
    answers = [await limited.client.get("/v1/me", headers=asha) for _ in range(2)]
    answers += [await limited.client.patch("/v1/me", json={"about": "x"}, headers=asha) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_a_hundred_million_numbers_take_years() -> None:
    """With the defaults, as docs/PROTOCOL.md says. Bursts are nothing beside these times."""
    settings = make_settings("unix://unused", "postgres://nobody@127.0.0.1/none", rate_limits="on")
    assert most_lookups(settings) == 100
    person, address, accounts = lookups(settings), address_lookups(settings), sign_ups(settings)
    assert 15 < 1e8 / person.rate / YEAR < 16, "one account"
    assert 3 < 1e8 / address.rate / YEAR < 4, "one address, with any number of accounts"
    # A thousand addresses are bounded by their own buckets only: a day and a bit. docs/security.md says so.
    assert 1 < 1e8 / (1000 * address.rate) / 86_400 < 2
    changes = number_changes(settings)
    more = changes.rate * person.burst  # the tokens are by number, and a new number has all of them
    assert 13 < 1e8 / (person.rate + more) / YEAR < 14, "one account that changes its number as often as it may"
    made_a_day = accounts.rate * 86_400
    assert made_a_day == 120, "accounts that one address makes in a day"
    # Over sockets the address is not counted, and the accounts stay. After d days there are 120 d of them.
    days = next(d for d in range(1, 100) if sum(made_a_day * n * person.rate * 86_400 for n in range(1, d + 1)) > 1e8)
    assert days == 10, "docs/security.md says about ten days"
