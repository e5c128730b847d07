"""Bad bodies: each a coded 400 or 415, nothing stored, and no value of theirs in the answer."""

import json
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import pytest

from handlers import requests
from protocol.errors import ApiError
from tests.support.api import PASSWORD, Api, make_settings, serve

A = "919800000001"
GOOD: dict[str, Any] = {"name": "Asha", "mobileNo": A, "password": PASSWORD}
JSON = {"Content-Type": "application/json"}
DEEP = b'{"name":"Asha","mobileNo":"919800000001","password":"correct horse","x":' + b"[" * 10**4 + b"]" * 10**4 + b"}"


def _but(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


INVALID_SIGN_UPS = [
    (b"", "bad_json"),
    (b"{", "bad_json"),
    (b"null", "bad_request"),
    (b"7", "bad_request"),
    (b'"text"', "bad_request"),
    (b"[]", "bad_request"),
    (b"{}", "bad_request"),
    (b"\xff\xfe{}", "bad_json"),
    (b"\xef\xbb\xbf", "bad_json"),
    (b"\xef\xbb\xbf" * 2 + _but(), "bad_json"),
    (_but()[:-1] + b',"x":NaN}', "bad_json"),
    (_but()[:-1] + b',"x":Infinity}', "bad_json"),
    (_but()[:-1] + b',"x":"\\ud800"}', "bad_json"),
    (_but()[:-1] + b',"mobileNo":"919800000002"}', "bad_json"),
    (_but() + b"{}", "bad_json"),
    (DEEP, "bad_json"),
    (_but(name="a\u0000bc"), "bad_request"),
    (_but(name="a\nbc"), "bad_request"),
    (_but(name="abc\u202edef"), "bad_request"),
    (_but(name="abc\u200e"), "bad_request"),
    (_but(name="\u200fabc"), "bad_request"),
    (_but(name="a\u061cbc"), "bad_request"),
    (_but(name="\u200b\u200b\u200b"), "bad_request"),
    (_but(name="\u200d\u200c\u2060\ufeff"), "bad_request"),
    (_but(name="\u00ad\u00a0\u00ad"), "bad_request"),
    (_but(name="\u3164\u3164\u3164"), "bad_request"),
    (_but(name="\u2800\u115f\u1160\uffa0"), "bad_request"),
    (_but(name="\ufe0f\ufe0f\u034f"), "bad_request"),
    (_but(name="\U000e0061\U000e0062\U000e0063"), "bad_request"),
    (_but(name="abc\u00a0def"), "bad_request"),
    (_but(name="\u0301\u0301\u0301"), "bad_request"),
    (_but(name="a\u0301\u0302\u0303\u0304" * 9), "bad_request"),
    (_but(name="\u200babc"), "bad_request"),
    (_but(name="abc\uffff"), "bad_request"),
    (_but(name="Аdmin"), "bad_request"),
    (_but(name="  a  "), "bad_request"),
    (_but(name="x" * 65), "bad_request"),
    (_but(name=None), "bad_request"),
    (_but(name=["Asha"]), "bad_request"),
    (_but(mobileNo=919800000001), "bad_request"),
    (_but(mobileNo=9198e8), "bad_request"),
    (_but(mobileNo={"$gt": ""}), "bad_request"),
    (_but(mobileNo="٩١٩٨٠٠٠٠٠٠٠١"), "bad_mobile"),
    (_but(mobileNo="９１９８０００００００１"), "bad_mobile"),
    (_but(mobileNo="{919800000001}"), "bad_mobile"),
    (_but(mobileNo="91980000:00001"), "bad_mobile"),
    (_but(mobileNo="919800000001\u0000"), "bad_mobile"),
    (_but(mobileNo="919800000001\n"), "bad_mobile"),
    (_but(mobileNo="09800000001"), "bad_mobile"),
    (_but(mobileNo=""), "bad_mobile"),
    (_but(password="12345"), "bad_request"),
    (_but(password="e\u0301" * 5), "bad_request"),
    (_but(password="x" * 73), "bad_request"),
    (_but(password="é" * 37), "bad_request"),
    (_but(password=True), "bad_request"),
]


async def test_an_invalid_sign_up_is_an_error(api: Api) -> None:
    for body, code in INVALID_SIGN_UPS:
        print(body, code)
        answer = await api.client.post("/auth/signin", content=body, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert answer.json()["success"] is False
        assert await api.services.directory.find(A) is None


INVALID_LOGINS = [
    ({"mobileNo": A}, "password"),
    ({"password": PASSWORD}, "mobileNo"),
    ({"mobileNo": A, "password": ""}, "password"),
    ({"mobileNo": A, "password": PASSWORD, "deviceId": 5}, "deviceId"),
    ({"mobileNo": A, "password": PASSWORD, "deviceName": "x" * 65}, "deviceName"),
    ({"mobileNo": A, "password": PASSWORD, "deviceName": "a\u0000"}, "deviceName"),
    ({"mobileNo": A, "password": "y" * 73}, "password"),
]


async def test_the_error_names_the_field(api: Api) -> None:
    for form, field in INVALID_LOGINS:
        print(form, field)
        answer = await api.client.post("/auth/login", json=form)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_device_has_a_plain_name(api: Api) -> None:
    for device in ["", "a b", "a:b", "{x}", "ü"]:
        print(device)
        form = {"mobileNo": A, "password": PASSWORD, "deviceId": device}
        answer = await api.client.post("/auth/login", json=form)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_device")


NOT_JSON = [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data"]


async def test_only_json_is_accepted(api: Api) -> None:
    for content_type in NOT_JSON:
        print(content_type)
        headers = {} if content_type is None else {"Content-Type": content_type}
        answer = await api.client.post("/auth/signin", content=_but(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_json_may_begin_with_a_byte_order_mark(api: Api) -> None:
    answer = await api.client.post("/auth/signin", content=b"\xef\xbb\xbf" + _but(), headers=JSON)
    assert answer.status_code == 200


async def test_json_may_name_its_charset(api: Api) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert (await api.client.post("/auth/signin", content=_but(), headers=headers)).status_code == 200


NAMES = [
    "श्री\u200dमान",
    "می\u200cخواهم",
    "👩\u200d👩\u200d👧 Roy",
    "❤\ufe0f❤\ufe0f❤\ufe0f",
    "Zo\u00e9",
    "O'Neil-Ñandú 3",
    "愛子さん",
]


async def test_names_of_any_script_and_emoji_are_accepted(api: Api) -> None:
    for number, name in enumerate(NAMES):
        mobile, body = f"91980000001{number}", _but(name=name, mobileNo=f"91980000001{number}")
        assert (await api.client.post("/auth/signin", content=body, headers=JSON)).status_code == 200, name
        found = await api.services.directory.find(mobile)
        assert found is not None
        assert found.name == name


async def test_unknown_fields_are_ignored_and_72_bytes_are_accepted(api: Api) -> None:
    body = _but(password="éü" * 18, role="admin", id=1)
    assert (await api.client.post("/auth/signin", content=body, headers=JSON)).status_code == 200


async def test_errors_of_a_body_do_not_repeat_its_values(api: Api) -> None:
    for field in ["name", "mobileNo", "password"]:
        print(field)
        canary = "canary\u0007" * 40
        answer = await api.client.post("/auth/signin", content=_but(**{field: canary}), headers=JSON)
        assert answer.status_code == 400
        assert "canary" not in answer.text + str(answer.headers)


# ---- queries


@pytest.fixture
async def asha(api: Api) -> dict[str, str]:
    """A's headers."""
    return await api.person(A, "Asha")


INVALID_QUERIES = [
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
]


async def test_an_invalid_query_is_an_error(api: Api, asha: dict[str, str]) -> None:
    for query, code in INVALID_QUERIES:
        print(query, code)
        answer = await api.client.get(f"/profile/lastseen?{query}", headers=asha)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert api.notes.presence.asked == []


async def test_marks_and_spaces_that_come_along_with_a_number_are_dropped(api: Api, asha: dict[str, str]) -> None:
    for written in ("\u202a+91\u00a098000\u201100001\u202c", "\u200e0091 98000 00001", "+91\u300098000.00001\ufeff"):
        answer = await api.client.get("/profile/lastseen", params={"mobileNo": written}, headers=asha)
        assert (answer.status_code, answer.json()["data"]["mobileNo"]) == (200, A), written


async def test_too_many_query_fields_are_an_error(api: Api, asha: dict[str, str]) -> None:
    query = "&".join(f"a{n}=1" for n in range(40))
    answer = await api.client.get(f"/profile/lastseen?{query}", headers=asha)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def test_errors_of_a_query_do_not_repeat_its_value(api: Api, asha: dict[str, str]) -> None:
    for junk in ("canary", "canary%00", "91980000000199canary"):
        answer = await api.client.get(f"/profile/lastseen?mobileNo={junk}", headers=asha)
        assert answer.status_code == 400
        assert "canary" not in answer.text


async def test_with_a_region_a_plus_in_either_spelling_means_another_country(
    redis: object, valkey_url: str, database_url: str
) -> None:
    async with serve(make_settings(valkey_url, database_url, default_region="IN")) as api:
        await api.sign_up("+49 170 1234567", "Greta")
        asha = await api.person("98000 00001")
        for written in ("%2B491701234567", "+491701234567", "00491701234567", "%2B49%20170%201234567"):
            answer = await api.client.get(f"/profile/lastseen?mobileNo={written}", headers=asha)
            assert answer.json() == {
                "success": True,
                "data": {"username": "Greta", "mobileNo": "491701234567"},
            }, written


class Page(msgspec.Struct):
    name: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=9)] = 5
    all: bool = False


def test_a_query_is_read_as_a_struct() -> None:
    request: Any = SimpleNamespace(query_string="name=7&limit=9&all=true&more=x")
    assert requests.query(request, Page) == Page("7", 9, True)
    request.query_string = "name="
    assert requests.query(request, Page) == Page("")


@pytest.mark.parametrize("text", ["name=x&limit=0", "name=x&limit=one", "name=x&all=perhaps", ""])
def test_a_query_that_does_not_fit_names_its_field(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_MESSAGES", dict.fromkeys(("name", "limit", "all"), "a sentence"))
    request: Any = SimpleNamespace(query_string=text)
    with pytest.raises(ApiError) as caught:
        requests.query(request, Page)
    field = "all" if "all" in text else "limit" if "limit" in text else "name"
    assert (caught.value.code, [each["field"] for each in caught.value.errors or []]) == ("bad_request", [field])
