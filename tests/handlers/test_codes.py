"""Sign-up and reset with codes, over HTTP; the codes are kept instead of being sent."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from models import EventKind, Session, SessionEvent
from protocol.errors import ApiError
from tests.support.api import PASSWORD, Api, make_settings, serve

A, B = "919800000001", "919800000002"
NEW = "another horse"


@pytest.fixture
async def coded(redis: "Redis", valkey_url: str, database_url: str) -> AsyncIterator[Api]:
    """A server that wants codes."""
    async with serve(make_settings(valkey_url, database_url, signup_code="log")) as running:
        yield running


async def _post(api: Api, path: str, **form: Any) -> tuple[int, dict[str, Any]]:
    answer = await api.client.post(path, json=form)
    return answer.status_code, answer.json()


async def _code(api: Api, mobile: str = A) -> str:
    status, body = await _post(api, "/v1/codes", mobileNo=mobile)
    assert (status, body) == (200, {"success": True, "message": "code sent", "expiresIn": 600})
    return api.notes.codes[-1][1]


async def _sign_up(api: Api, mobile: str = A, **more: Any) -> tuple[int, str]:
    status, body = await _post(api, "/auth/signin", name="Asha", mobileNo=mobile, password=PASSWORD, **more)
    return status, body.get("code", "")


async def test_a_sign_up_needs_the_code_of_its_number(coded: Api) -> None:
    assert await _sign_up(coded) == (400, "code_missing")
    code = await _code(coded, "+91 98000 00001")
    assert coded.notes.codes == [(A, code)]
    assert await _sign_up(coded, B, code=code) == (403, "code_wrong")
    assert await _sign_up(coded, code="x" * 33) == (400, "bad_request")
    assert await _sign_up(coded, code=code) == (200, "")
    assert await _sign_up(coded, code=code) == (403, "code_wrong"), "it was used"
    assert await _sign_up(coded, code=await _code(coded)) == (409, "already_exists")


async def test_the_answer_to_a_request_for_a_code_does_not_say_who_has_an_account(coded: Api) -> None:
    await _sign_up(coded, code=await _code(coded))
    known = await coded.client.post("/v1/codes", json={"mobileNo": A})
    unknown = await coded.client.post("/v1/codes", json={"mobileNo": B})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert [mobile for mobile, _ in coded.notes.codes] == [A, A, B]
    assert (await _post(coded, "/v1/codes", mobileNo="1"))[1]["code"] == "bad_mobile"


async def test_a_forgotten_password_is_set_anew_and_everybody_is_out(coded: Api) -> None:
    await _sign_up(coded, code=await _code(coded))
    headers = await coded.login(A)
    reset = {"mobileNo": A, "newPassword": NEW}
    assert (await _post(coded, "/auth/reset", **reset))[1]["code"] == "bad_request"
    assert (await _post(coded, "/auth/reset", **reset, code=""))[1]["code"] == "code_missing"
    assert (await _post(coded, "/auth/reset", **reset, code="000000"))[1]["code"] == "code_wrong"
    code = await _code(coded)
    weak = await _post(coded, "/auth/reset", **reset | {"newPassword": "123456"}, code=code)
    assert (weak[0], weak[1]["errors"][0]["field"]) == (400, "newPassword")
    status, body = await _post(coded, "/auth/reset", **reset, code=code)
    assert (status, body["message"]) == (200, "password reset")
    assert (await coded.client.get("/v1/sessions", headers=headers)).json()["code"] == "session_revoked"
    assert await Session.filter(revoked_at=None).count() == 0
    assert len(coded.notes.closed) == 1
    for password, wanted in ((PASSWORD, 401), (NEW, 200)):
        assert (await _post(coded, "/auth/login", mobileNo=A, password=password))[0] == wanted
    kinds = [event.kind for event in await SessionEvent.all().order_by("id")]
    assert kinds == [EventKind.LOGIN, EventKind.PASSWORD_RESET, EventKind.LOGIN_FAILED, EventKind.LOGIN]
    again = await _post(coded, "/auth/reset", **reset, code=code)
    assert again[1]["code"] == "code_wrong"


async def test_who_has_no_account_learns_so_only_with_a_code(coded: Api) -> None:
    reset = {"mobileNo": A, "newPassword": NEW}
    assert (await _post(coded, "/auth/reset", **reset, code="000000"))[1]["code"] == "code_wrong"
    assert (await _post(coded, "/auth/reset", **reset, code=await _code(coded)))[1]["code"] == "no_such_person"


async def test_another_number_needs_its_code(coded: Api) -> None:
    await _sign_up(coded, code=await _code(coded))
    headers, form = await coded.login(A), {"mobileNo": B, "password": PASSWORD}

    async def change(**more: str) -> tuple[int, str]:
        answer = await coded.client.post("/v1/me/number", headers=headers, json=form | more)
        return answer.status_code, answer.json().get("code", "")

    assert await change() == (400, "code_missing")
    assert await change(code=await _code(coded)) == (403, "code_wrong"), "that of the old number"
    assert await change(code=await _code(coded, B)) == (200, "")


async def test_a_code_that_cannot_be_sent_is_a_refusal_to_come_back_after(coded: Api) -> None:
    coded.notes.fail = ApiError("code_not_sent")
    answer = await coded.client.post("/v1/codes", json={"mobileNo": A})
    assert (answer.status_code, answer.json()["code"]) == (503, "code_not_sent")
    assert int(answer.headers["retry-after"]) > 0


async def test_switched_off_sign_up_needs_none_and_there_is_no_reset(api: Api) -> None:
    assert await _sign_up(api, code="anything") == (200, "")
    for path, form in (("/v1/codes", {}), ("/auth/reset", {"code": "000000", "newPassword": NEW})):
        status, body = await _post(api, path, mobileNo=A, **form)
        assert (status, body["code"]) == (404, "codes_off")
