"""What a person hides: read, changed in parts, and limited."""

from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.api import Api, make_settings, serve

A = "919800000001"
OPEN = {"lastSeen": "everyone", "online": "everyone", "readReceipts": "on", "strangerReceipts": "on"}


@pytest.fixture
async def asha(api: Api) -> dict[str, str]:
    """A's headers."""
    return await api.person(A)


async def put(api: Api, headers: dict[str, str], body: Any) -> Any:
    answer = await api.client.put("/v1/privacy", json=body, headers=headers)
    return answer.json()["data"] if answer.status_code == 200 else (answer.status_code, answer.json()["code"])


async def test_any_part_is_changed_and_all_is_answered(api: Api, asha: dict[str, str]) -> None:
    read = await api.client.get("/v1/privacy", headers=asha)
    assert (read.status_code, read.json()) == (200, {"success": True, "data": OPEN})
    assert await put(api, asha, {}) == OPEN
    assert await put(api, asha, {"lastSeen": "contacts"}) == OPEN | {"lastSeen": "contacts"}
    changed = {"lastSeen": "contacts", "online": "nobody", "readReceipts": "off", "strangerReceipts": "off"}
    assert await put(api, asha, {"online": "nobody", "readReceipts": "off", "strangerReceipts": "off"}) == changed
    assert (await api.client.get("/v1/privacy", headers=asha)).json()["data"] == changed
    assert await put(api, asha, OPEN) == OPEN
    assert [rules.privacy for _, rules in api.notes.changes] == ["", "ce11", "cn00", ""]


@pytest.mark.parametrize(
    "body", [{"lastSeen": "friends"}, {"online": None}, {"readReceipts": True}, {"strangerReceipts": "yes"}]
)
async def test_anything_else_is_refused_by_name(api: Api, asha: dict[str, str], body: dict[str, Any]) -> None:
    answer = await api.client.put("/v1/privacy", json=body, headers=asha)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert [error["field"] for error in answer.json()["errors"]] == list(body)
    assert api.notes.changes == []


async def test_how_often_is_limited(redis: "Redis", valkey_url: str, database_url: str) -> None:
    settings = make_settings(valkey_url, database_url, rate_limits="on", account_requests_burst=3)
    async with serve(settings) as api:
        headers = await api.person(A)
        assert [await put(api, headers, {}) for _ in range(4)] == [OPEN] * 3 + [(429, "rate_limited")]
        assert (await api.client.get("/v1/privacy", headers=headers)).status_code == 429
