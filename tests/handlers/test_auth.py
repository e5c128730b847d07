"""Sign up, log in, log out, tickets: over real sockets."""

from typing import Any

import pytest
from tortoise.connection import get_connection

from models import EventKind, SessionEvent
from tests.support.api import PASSWORD, Api

A = "919800000001"
PERSONAL = [
    ("POST", "/auth/logout"),
    ("POST", "/auth/logout-everywhere"),
    ("POST", "/auth/password"),
    ("GET", "/v1/sessions"),
    ("DELETE", "/v1/sessions/0f8fad5b-d9cb-469f-a165-70867728950e"),
    ("GET", "/v1/events"),
    ("GET", "/v1/devices"),
    ("DELETE", "/v1/devices/phone"),
    ("POST", "/v1/tickets"),
    ("POST", "/block-action/block"),
    ("DELETE", "/block-action/unblock"),
    ("GET", "/block-action/list"),
    ("GET", "/profile/lastseen"),
]


async def _events() -> list[SessionEvent]:
    return await SessionEvent.all().order_by("id")


async def test_sign_up_responds_like_the_original_with_a_string_id(api: Api) -> None:
    answer = await api.client.post(
        "/auth/signin", json={"name": " Asha ", "mobileNo": "+91 (98) 0000-0001", "password": PASSWORD}
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body == {"success": True, "message": "account created successfully", "id": body["id"]}
    user = await api.services.directory.find(A)
    assert user is not None
    assert (str(user.id), user.name) == (body["id"], "Asha")


async def test_the_same_number_written_differently_exists_already(api: Api) -> None:
    await api.sign_up(A)
    again = await api.client.post(
        "/auth/signin", json={"name": "Other", "mobileNo": f"+{A[:2]}-{A[2:]}", "password": PASSWORD}
    )
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")


async def test_login_gives_a_token_that_works(api: Api) -> None:
    account = await api.sign_up(A, "Asha")
    answer = await api.client.post("/auth/login", json={"mobileNo": A, "password": PASSWORD})
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert body["success"] is True
    assert body["message"] == "login successful"
    assert (body["id"], body["name"], body["mobileNo"], body["deviceId"]) == (account, "Asha", A, "primary")
    claims = api.services.tokens.verify(body["token"])
    assert (claims.account_id, claims.mobile, claims.device_id) == (account, A, "primary")
    listing = await api.client.get("/block-action/list", headers={"Authorization": f"bearer {body['token']}"})
    assert listing.json() == {"success": True, "data": []}


async def test_login_writes_an_event_with_its_session(api: Api) -> None:
    account = await api.sign_up(A)
    headers = await api.login(A, deviceId="phone")
    claims = api.services.tokens.verify(headers["Authorization"].removeprefix("Bearer "))
    (event,) = await _events()
    assert (event.kind, event.mobile_no, event.device_id, event.server_id) == (EventKind.LOGIN, A, "phone", "server-1")
    assert (str(event.user_id), str(event.session_id)) == (account, claims.session_id)  # type: ignore[attr-defined]


async def test_unknown_number_and_wrong_password_get_identical_responses(api: Api) -> None:
    await api.sign_up(A)
    wrong = await api.client.post("/auth/login", json={"mobileNo": A, "password": "not this one"})
    unknown = await api.client.post("/auth/login", json={"mobileNo": "919800009999", "password": "not this one"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content
    assert wrong.json()["code"] == "credentials_wrong"
    assert wrong.headers["www-authenticate"] == unknown.headers["www-authenticate"] == "Bearer"
    assert [(e.kind, e.mobile_no, e.reason) for e in await _events()] == [
        (EventKind.LOGIN_FAILED, A, "credentials_wrong"),
        (EventKind.LOGIN_FAILED, "919800009999", "credentials_wrong"),
    ]


async def test_the_sixth_device_is_an_error_and_a_known_one_is_not(api: Api) -> None:
    await api.sign_up(A)
    for number in range(5):
        await api.login(A, deviceId=f"device-{number}")
    await api.login(A, deviceId="device-0")
    sixth = await api.client.post("/auth/login", json={"mobileNo": A, "password": PASSWORD, "deviceId": "device-5"})
    assert (sixth.status_code, sixth.json()["code"]) == (409, "too_many_devices")
    assert (await _events())[-1].kind == EventKind.LOGIN_FAILED


async def test_logout_ends_this_session_only_and_announces_it(api: Api) -> None:
    await api.sign_up(A)
    first, second = await api.login(A), await api.login(A)
    answer = await api.client.post("/auth/logout", headers=first)
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    refused = await api.client.get("/block-action/list", headers=first)
    assert (refused.status_code, refused.json()["code"]) == (401, "session_revoked")
    assert (await api.client.get("/block-action/list", headers=second)).status_code == 200
    (closed,) = api.notes.closed
    assert (closed.mobile, closed.device_id) == (A, "primary")
    assert (await _events())[-1].kind == EventKind.LOGOUT


async def test_a_ticket_is_valid_once(api: Api) -> None:
    headers = await api.person(A)
    answer = await api.client.post("/v1/tickets", headers=headers)
    body = answer.json()
    assert (answer.status_code, body["success"], body["expiresIn"]) == (200, True, 30)
    assert (await api.services.sessions.redeem_ticket(body["ticket"])).mobile == A


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "token_missing"),
        ("", "token_missing"),
        ("Bearer", "token_invalid"),
        ("Basic YTpi", "token_missing"),
        ("Bearer a.b.c", "token_invalid"),
        ("Bearer eyJhbGciOiJub25lIn0.e30.", "token_invalid"),
    ],
)
async def test_every_personal_route_needs_a_valid_token(api: Api, header: str | None, code: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path in PERSONAL:
        answer = await api.client.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code), path
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_rejected_requests_store_nothing(api: Api) -> None:
    refused: list[dict[str, Any]] = [
        {"name": "ab", "mobileNo": A, "password": PASSWORD},
        {"name": "Asha", "mobileNo": "1", "password": PASSWORD},
        {"name": "Asha", "mobileNo": A, "password": "short"},
        {"name": "Asha", "mobileNo": A, "password": "x" * 73},
    ]
    for form in refused:
        assert (await api.client.post("/auth/signin", json=form)).status_code == 400
    assert await get_connection("default").execute_query_dict("SELECT count(*) AS n FROM users") == [{"n": 0}]
