"""Refresh, lists of sessions and events, and every way to end sessions: over real sockets."""

from typing import Any

import pytest
from redis.asyncio import Redis

from models import EventKind, Session, SessionEvent
from protocol.errors import ApiError
from tests.support.api import PASSWORD, Api, make_settings, serve

A, B = "919800000001", "919800000002"
NEW = "another horse"
Headers = dict[str, str]


async def _log_in(api: Api, device: str = "phone", mobile: str = A, **more: Any) -> dict[str, Any]:
    form = {"mobileNo": mobile, "password": PASSWORD, "deviceId": device, **more}
    body: dict[str, Any] = (await api.client.post("/auth/login", json=form)).raise_for_status().json()
    return body


def _bearer(body: dict[str, Any]) -> Headers:
    return {"Authorization": f"Bearer {body['token']}"}


async def _refresh(api: Api, token: str) -> tuple[int, dict[str, Any]]:
    answer = await api.client.post("/auth/refresh", json={"refreshToken": token})
    return answer.status_code, answer.json()


async def _get(api: Api, path: str, headers: Headers, **query: Any) -> Any:
    answer = await api.client.get(path, headers=headers, params=query)
    body = answer.json()
    return body["data"] if answer.status_code == 200 else (answer.status_code, body["code"])


async def _works(api: Api, body: dict[str, Any]) -> bool:
    return (await api.client.get("/block-action/list", headers=_bearer(body))).status_code == 200


async def test_a_refresh_answers_as_a_log_in_does(api: Api) -> None:
    await api.sign_up(A, "Asha")
    first = await _log_in(api)
    status, second = await _refresh(api, first["refreshToken"])
    assert status == 200
    assert set(second) == set(first)
    assert second["message"] == "refresh successful"
    assert {second[name] == first[name] for name in ("id", "name", "mobileNo", "deviceId")} == {True}
    assert second["expiresAt"] < second["refreshExpiresAt"]
    assert await _works(api, second)
    assert await _works(api, first), "a token is good until it expires"
    assert (await _refresh(api, second["refreshToken"]))[0] == 200
    for junk in ("", "wmr_", first["token"], "wmr_" + "A" * 70):
        status, refused = await _refresh(api, junk)
        assert (status, refused["code"]) == (401, "refresh_invalid")


async def test_reuse_is_said_and_ends_the_session(api: Api) -> None:
    await api.sign_up(A)
    first, other = await _log_in(api), await _log_in(api, "tablet")
    _, second = await _refresh(api, first["refreshToken"])
    await _refresh(api, second["refreshToken"])
    status, refused = await _refresh(api, first["refreshToken"])
    assert (status, refused["code"]) == (401, "refresh_reused")
    assert first["refreshToken"] not in str(refused)
    assert (await _works(api, first), await _works(api, second), await _works(api, other)) == (False, False, True)
    events = await _get(api, "/v1/events", _bearer(other))
    assert [event["kind"] for event in events] == ["refresh_reused", "login", "login"]


async def test_sessions_are_listed_and_ended(api: Api) -> None:
    await api.sign_up(A)
    await api.sign_up(B)
    phone, tablet = await _log_in(api, deviceName="A phone"), await _log_in(api, "tablet")
    ravi = await _log_in(api, mobile=B)
    listed = await _get(api, "/v1/sessions", _bearer(phone))
    assert [(line["deviceId"], line["deviceName"], line["current"]) for line in listed] == [
        ("tablet", "", False),
        ("phone", "A phone", True),
    ]
    ended = listed[0]["id"]
    strange = (await _get(api, "/v1/sessions", _bearer(ravi)))[0]["id"]
    for session_id in (strange, "nothing", "0f8fad5b-d9cb-469f-a165-70867728950e"):
        answer = await api.client.delete(f"/v1/sessions/{session_id}", headers=_bearer(phone))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for _ in range(2):  # an answer may be lost
        answer = await api.client.delete(f"/v1/sessions/{ended}", headers=_bearer(phone))
        assert answer.json() == {"success": True, "message": "session ended"}
    assert (await _works(api, phone), await _works(api, tablet), await _works(api, ravi)) == (True, False, True)
    assert {closed.session_id for closed in api.notes.closed} == {ended}
    assert [line["deviceId"] for line in await _get(api, "/v1/sessions", _bearer(phone))] == ["phone"]
    assert [event["kind"] for event in await _get(api, "/v1/events", _bearer(phone))][:1] == ["session_ended"]


@pytest.mark.parametrize("this_too", [False, True])
async def test_log_out_everywhere(api: Api, this_too: bool) -> None:
    await api.sign_up(A)
    await api.sign_up(B)
    mine = [await _log_in(api, device) for device in ("phone", "tablet", "phone")]
    ravi = await _log_in(api, mobile=B)
    query = {"all": "true"} if this_too else {}
    answer = await api.client.post("/auth/logout-everywhere", headers=_bearer(mine[0]), params=query)
    assert answer.json() == {"success": True, "message": "logged out everywhere", "ended": 3 if this_too else 2}
    assert [await _works(api, each) for each in mine] == [not this_too, False, False]
    assert await _works(api, ravi)
    assert (await SessionEvent.all().order_by("-id").first()).kind == EventKind.LOGOUT_ALL  # type: ignore[union-attr]
    assert {closed.device_id for closed in api.notes.closed} == {"phone", "tablet"}
    wrong = await api.client.post("/auth/logout-everywhere", headers=_bearer(ravi), params={"all": "perhaps"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "all")


async def _change(api: Api, headers: Headers, current: str = PASSWORD, new: str = NEW) -> tuple[int, str]:
    form = {"currentPassword": current, "newPassword": new}
    answer = await api.client.post("/auth/password", headers=headers, json=form)
    return answer.status_code, answer.json().get("code", "")


async def test_a_changed_password_ends_all_other_sessions(api: Api) -> None:
    await api.sign_up(A)
    mine, other = await _log_in(api), await _log_in(api, "tablet")
    assert await _change(api, _bearer(mine), current="wrong horse") == (403, "password_wrong")
    assert await _change(api, _bearer(mine), new="123456") == (400, "bad_request")
    assert await _change(api, _bearer(mine), new=A) == (400, "bad_request")
    assert await _works(api, other)
    assert await _change(api, _bearer(mine)) == (200, "")
    assert (await _works(api, mine), await _works(api, other)) == (True, False)
    assert (await _refresh(api, other["refreshToken"]))[1]["code"] == "session_revoked"
    assert (await _refresh(api, mine["refreshToken"]))[0] == 200
    for password, status in ((PASSWORD, 401), (NEW, 200)):
        form = {"mobileNo": A, "password": password}
        assert (await api.client.post("/auth/login", json=form)).status_code == status
    kinds = [event["kind"] for event in await _get(api, "/v1/events", _bearer(mine))]
    assert kinds[:3] == ["login", "login_failed", "password_changed"]


async def test_a_password_is_changed_even_when_the_servers_cannot_be_told(api: Api) -> None:
    await api.sign_up(A)
    mine = await _log_in(api)
    await _log_in(api, "tablet")
    api.notes.fail = ApiError("unavailable")
    assert await _change(api, _bearer(mine)) == (200, "")
    assert await Session.filter(revoked_at=None).count() == 1
    await api.services.sessions.stop()


async def test_an_end_that_could_not_be_announced_is_an_event_once(api: Api) -> None:
    await api.sign_up(A)
    mine, other = await _log_in(api), await _log_in(api, "tablet")
    (ended,) = [line["id"] for line in await _get(api, "/v1/sessions", _bearer(mine)) if not line["current"]]
    api.notes.fail = ApiError("unavailable")
    answers = [await api.client.delete(f"/v1/sessions/{ended}", headers=_bearer(mine)) for _ in range(2)]
    assert [answer.json()["code"] for answer in answers] == ["unavailable"] * 2
    api.notes.fail = None
    assert (await api.client.delete(f"/v1/sessions/{ended}", headers=_bearer(mine))).status_code == 200
    assert not await _works(api, other)
    kinds = [event["kind"] for event in await _get(api, "/v1/events", _bearer(mine))]
    assert kinds == ["session_ended", "login", "login"]
    await api.services.sessions.stop()


async def test_events_are_ones_own_and_come_in_pages(api: Api) -> None:
    await api.sign_up(A)
    await api.sign_up(B)
    mine = await _log_in(api)
    await _log_in(api, mobile=B)
    wrong = {"mobileNo": A, "password": "wrong horse", "deviceId": "thief"}
    await api.client.post("/auth/login", json=wrong)
    await _log_in(api, "tablet")
    events = await _get(api, "/v1/events", _bearer(mine))
    assert [(event["kind"], event["deviceId"], event["times"]) for event in events] == [
        ("login", "tablet", 1),
        ("login_failed", "thief", 1),
        ("login", "phone", 1),
    ]
    assert (events[1]["reason"], "sessionId" in events[1], "sessionId" in events[0]) == (
        "credentials_wrong",
        False,
        True,
    )
    first = await _get(api, "/v1/events", _bearer(mine), limit=2)
    rest = await _get(api, "/v1/events", _bearer(mine), limit=2, before=first[-1]["id"])
    assert first + rest == events
    for query in ({"limit": 0}, {"limit": 101}, {"before": "x"}, {"before": -1}):
        assert await _get(api, "/v1/events", _bearer(mine), **query) == (400, "bad_request")


async def test_failed_log_ins_of_a_number_are_its_owners_only_while_it_is_theirs(api: Api) -> None:
    wrong = {"mobileNo": A, "password": "wrong horse"}
    await api.client.post("/auth/login", json=wrong)
    await api.sign_up(A)
    mine = await _log_in(api)
    assert [event["kind"] for event in await _get(api, "/v1/events", _bearer(mine))] == ["login"]


async def test_limited_log_ins_are_few_events(redis: "Redis", valkey_url: str, database_url: str) -> None:
    few = {
        "rate_limits": "on",
        "logins_burst": 3,
        "logins_per_minute": 1,
        "logins_per_address_burst": 1000,
        "proxies": 1,
    }
    async with serve(make_settings(valkey_url, database_url, **few)) as api:
        await api.sign_up(A)
        mine = await _log_in(api)
        wrong = {"mobileNo": A, "password": "wrong horse"}
        for number in range(20):
            address = {"X-Forwarded-For": f"10.0.0.{number}"}
            await api.client.post("/auth/login", json=wrong, headers=address)
        await api.services.events.flush()
        events = await _get(api, "/v1/events", _bearer(mine))
        limited = [event for event in events if event["kind"] == "limited"]
        assert len(limited) <= 2
        assert sum(event["times"] for event in limited) >= 17
        assert {(event["reason"], event["deviceId"]) for event in limited} == {("login", "primary")}


async def test_each_route_has_its_limit(redis: "Redis", valkey_url: str, database_url: str) -> None:
    few = {
        "rate_limits": "on",
        "refreshes_burst": 2,
        "refreshes_per_address_burst": 8,
        "refreshes_per_address_per_second": 0.01,
        "account_requests_burst": 2,
        "logins_burst": 3,
        "logins_per_minute": 1,
    }
    async with serve(make_settings(valkey_url, database_url, **few)) as api:
        await api.sign_up(A)
        mine = await _log_in(api)
        headers, token = _bearer(mine), mine["refreshToken"]
        answers = [(await _refresh(api, token))[0] for _ in range(4)]
        assert answers == [200, 200, 429, 429], "of one session"
        assert [(await _refresh(api, "wmr_"))[0] for _ in range(5)] == [401] * 4 + [429], "of one address"
        for _ in range(2):
            assert isinstance(await _get(api, "/v1/sessions", headers), list)
        assert await _get(api, "/v1/sessions", headers) == (429, "rate_limited")
        assert await _get(api, "/v1/events", headers) == (429, "rate_limited")
        for method, path in (("POST", "/auth/logout-everywhere"), ("DELETE", f"/v1/sessions/{mine['id']}")):
            assert (await api.client.request(method, path, headers=headers)).status_code == 429
        changes = [await _change(api, headers, current="wrong horse") for _ in range(4)]
        assert [code for _, code in changes][-1] == "rate_limited", "the current password counts as a log-in does"
