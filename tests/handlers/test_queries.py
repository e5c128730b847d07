"""What comes after the question mark."""

import pytest

from tests.support.api import Api, make_settings, serve

A = "919800000001"


@pytest.fixture
async def asha(api: Api) -> dict[str, str]:
    """A's headers."""
    return await api.person(A, "Asha")


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


async def test_many_fields_are_refused(api: Api, asha: dict[str, str]) -> None:
    query = "&".join(f"a{n}=1" for n in range(40))
    answer = await api.client.get(f"/profile/lastseen?{query}", headers=asha)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def test_a_value_never_comes_back(api: Api, asha: dict[str, str]) -> None:
    for junk in ("canary", "canary%00", "91980000000199canary"):
        answer = await api.client.get(f"/profile/lastseen?mobileNo={junk}", headers=asha)
        assert answer.status_code == 400
        assert "canary" not in answer.text


@pytest.mark.parametrize("written", ["%2B491701234567", "+491701234567", "00491701234567", "%2B49%20170%201234567"])
async def test_with_a_region_a_plus_in_either_spelling_means_another_country(
    redis: object, valkey_url: str, database_url: str, written: str
) -> None:
    async with serve(make_settings(valkey_url, database_url, default_region="IN")) as api:
        await api.sign_up("+49 170 1234567", "Greta")
        answer = await api.client.get(f"/profile/lastseen?mobileNo={written}", headers=await api.person("98000 00001"))
        assert answer.json() == {"success": True, "data": {"username": "Greta", "mobileNo": "491701234567"}}
