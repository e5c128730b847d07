"""Last seen."""

import pytest

from tests.support.api import Api

A, B = "919800000001", "919800000002"


@pytest.fixture
async def asha(api: Api) -> dict[str, str]:
    """A's headers; B exists."""
    await api.sign_up(B, "Bela")
    return await api.person(A, "Asha")


async def test_online_a_time_or_nothing(api: Api, asha: dict[str, str]) -> None:
    path = f"/profile/lastseen?mobileNo={B}"
    never = await api.client.get(path, headers=asha)
    assert never.json() == {"success": True, "data": {"username": "Bela", "mobileNo": B}}
    api.notes.presence.seen[B] = "online"
    assert (await api.client.get(path, headers=asha)).json()["data"]["lastSeen"] == "online"
    api.notes.presence.seen[B] = 1_700_000_000_123
    assert (await api.client.get(path, headers=asha)).json()["data"]["lastSeen"] == "2023-11-14T22:13:20.123Z"
    assert api.notes.presence.asked == [(B, A)] * 3


async def test_an_unknown_number_is_an_error(api: Api, asha: dict[str, str]) -> None:
    answer = await api.client.get("/profile/lastseen?mobileNo=919800009999", headers=asha)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_person")
