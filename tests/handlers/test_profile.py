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


async def test_an_unknown_number_is_told(api: Api, asha: dict[str, str]) -> None:
    answer = await api.client.get("/profile/lastseen?mobileNo=919800009999", headers=asha)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_person")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "bad_request"),
        ("mobileno=919800000002", "bad_request"),
        ("mobileNo=", "bad_mobile"),
        ("mobileNo=919800000002&mobileNo=919800000003", "bad_request"),
        ("mobileNo=919800000002%00", "bad_request"),
        ("mobileNo=9198%0D%0A00000002", "bad_request"),
        ("mobileNo=%FF%FE", "bad_request"),
        ("mobileNo=919800000002%7B%7D", "bad_mobile"),
        ("mobileNo=91980000:0002", "bad_mobile"),
        ("mobileNo=%2B%2B919800000002", "bad_mobile"),
        ("mobileNo=%D9%A9%D9%A1%D9%A9%D9%A8%D9%A0%D9%A0%D9%A0%D9%A0%D9%A0%D9%A0%D9%A0%D9%A2", "bad_mobile"),
        ("mobileNo=%EF%BC%99%EF%BC%91%EF%BC%99%EF%BC%98%EF%BC%90%EF%BC%90%EF%BC%90%EF%BC%90%EF%BC%91", "bad_mobile"),
        ("mobileNo=" + "9" * 16, "bad_mobile"),
        ("mobileNo=" + "9" * 3000, "bad_mobile"),
        ("mobileNo=' OR 1=1--", "bad_mobile"),
    ],
)
async def test_junk_in_the_query_is_refused(api: Api, asha: dict[str, str], query: str, code: str) -> None:
    answer = await api.client.get(f"/profile/lastseen?{query}", headers=asha)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert api.notes.presence.asked == []
