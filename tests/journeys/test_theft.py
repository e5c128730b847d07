"""Stolen credentials: how a theft is noticed, and that every way to end sessions ends their sockets, on all servers."""

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from redis import Redis

from tests.support.fragile import Fragile
from tests.support.people import NO_TLS, PASSWORD, Person, Talk, new_mobile
from tests.support.stack import ServerGroup, Stack
from tools.devstack.postgres import Postgres

DIALECTS = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])
GRACE_IS_OVER = "UPDATE sessions SET refreshed_at = refreshed_at - interval '11 seconds' WHERE user_id = '{}'"


async def _post(url: str, path: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, verify=NO_TLS, timeout=15, headers=headers) as client:
        return await client.post(path, json=body) if body else await client.post(path)


async def _sign_up(url: str) -> str:
    mobile = new_mobile()
    (await _post(url, "/auth/signin", name="Asha", mobileNo=mobile, password=PASSWORD)).raise_for_status()
    return mobile


async def _log_in(url: str, mobile: str, device: str = "phone") -> dict[str, Any]:
    answer = await _post(url, "/auth/login", mobileNo=mobile, password=PASSWORD, deviceId=device)
    body: dict[str, Any] = answer.raise_for_status().json()
    return body


async def _open(server: ServerGroup, session: dict[str, Any], v1: bool) -> Talk:
    return await Person(session["mobileNo"], session["token"], session["name"]).open(server.ws_url, v1)


def _bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['token']}"}


async def _get(url: str, path: str, session: dict[str, Any]) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=url, verify=NO_TLS, timeout=15) as client:
        answer = await client.get(path, headers=_bearer(session))
        data: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
        return data


async def _upgrade(url: str, query: str) -> tuple[int, str]:
    """What a socket is answered that does not open."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    headers["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        answer = await client.get(f"{url}/?{query}", headers=headers)
    return answer.status_code, answer.json()["code"]


async def _all_closed(talks: list[Talk], within: float) -> None:
    started = time.monotonic()
    codes = await asyncio.gather(*(talk.closed(within) for talk in talks))
    assert set(codes) == {4509}, (codes, time.monotonic() - started)


@DIALECTS
@pytest.mark.parametrize("connected", ["owner", "thief"])
async def test_a_stolen_refresh_token_is_found_out_and_both_are_out(
    product: ServerGroup, single_server: ServerGroup, postgres_server: Postgres, connected: str, v1: bool
) -> None:
    """Of a session's clients one is connected: both have its deviceId."""
    one, two = product, single_server
    mobile = await _sign_up(one.url)
    hers = await _log_in(one.url, mobile)
    stolen = hers["refreshToken"]
    # The thief uses it on another server, and has tokens that work.
    theirs = (await _post(two.url, "/auth/refresh", refreshToken=stolen)).raise_for_status().json()
    sockets = [await _open(one, hers, v1) if connected == "owner" else await _open(two, theirs, v1)]
    spared = await _log_in(one.url, mobile, "tablet")
    tablet = await _open(two, spared, v1)
    tickets = [
        (await _post(one.url, "/v1/tickets", _bearer(session))).raise_for_status().json()["ticket"]
        for session in (hers, theirs)
    ]
    # Her client refreshes when it comes back, later than a lost answer would be asked for.
    database = urlsplit(one.env["DATABASE_URL"]).path[1:]
    await asyncio.to_thread(postgres_server.fetch, GRACE_IS_OVER.format(hers["id"]), database)
    answer = await _post(one.url, "/auth/refresh", refreshToken=stolen)
    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_reused")
    await _all_closed(sockets, 1.0)
    assert tablet.socket.close_code is None, "another session of hers goes on"
    for url in (one.url, two.url):
        for session in (hers, theirs):
            refused = await _post(url, "/auth/refresh", refreshToken=session["refreshToken"])
            assert refused.json()["code"] == "session_revoked"
            assert (await _post(url, "/v1/tickets", _bearer(session))).json()["code"] == "session_revoked"
    for ticket in tickets:
        assert await _upgrade(two.url, f"ticket={ticket}") == (401, "session_revoked")
    for session in (hers, theirs):
        assert await _upgrade(two.url, f"token={session['token']}") == (401, "session_revoked")
    again = await _log_in(two.url, mobile)
    events = await _get(two.url, "/v1/events", again)
    (event,) = [each for each in events if each["kind"] == "refresh_reused"]
    (first,) = [each for each in events if each["kind"] == "login" and each["sessionId"] == event["sessionId"]]
    assert (event["deviceId"], event["at"] > first["at"]) == ("phone", True)
    await tablet.end()


@DIALECTS
async def test_each_way_to_end_sessions_closes_their_sockets_on_all_servers_within_a_second(
    product: ServerGroup, single_server: ServerGroup, v1: bool
) -> None:
    one, two = product, single_server
    mobile = await _sign_up(one.url)

    async def connected() -> tuple[dict[str, Any], Talk, list[dict[str, Any]], list[Talk]]:
        mine = await _log_in(one.url, mobile, "mine")
        others = [await _log_in(one.url, mobile, f"device-{n}") for n in range(4)]
        talks = [await _open(server, session, v1) for session, server in zip(others, (one, two, one, two), strict=True)]
        return mine, await _open(one, mine, v1), others, talks

    mine, kept, others, talks = await connected()
    listed = {line["deviceId"]: line["id"] for line in await _get(two.url, "/v1/sessions", mine)}
    async with httpx.AsyncClient(base_url=two.url, verify=NO_TLS, headers=_bearer(mine)) as client:
        (await client.delete(f"/v1/sessions/{listed['device-0']}")).raise_for_status()
    await _all_closed(talks[:1], 1.0)
    (await _post(two.url, "/auth/logout-everywhere", _bearer(mine))).raise_for_status()
    await _all_closed(talks[1:], 1.0)
    assert kept.socket.close_code is None
    mine, newer, others, talks = await connected()
    await kept.closed()  # by the newer connection of its device
    change = {"currentPassword": PASSWORD, "newPassword": "another horse"}
    (await _post(two.url, "/auth/password", _bearer(mine), **change)).raise_for_status()
    await _all_closed(talks, 1.0)
    assert newer.socket.close_code is None
    assert (await _post(one.url, "/auth/refresh", refreshToken=others[0]["refreshToken"])).status_code == 401
    (await _post(one.url, "/auth/logout-everywhere?all=true", _bearer(mine))).raise_for_status()
    await _all_closed([newer], 1.0)


@DIALECTS
async def test_while_servers_cannot_notify_each_other_sockets_end_all_the_same(
    fragile: Fragile, beside: Stack, v1: bool
) -> None:
    other = beside.start(workers=1, SESSION_CHECK_SECONDS="0.5")
    mobile = await _sign_up(fragile.server.url)
    phone, tablet = [await _log_in(fragile.server.url, mobile, device) for device in ("phone", "tablet")]
    talks = [await _open(fragile.server, phone, v1), await _open(other, tablet, v1)]
    with Redis.from_url(fragile.valkey.url) as admin:
        admin.execute_command("ACL", "SETUSER", "default", "resetchannels")
        try:
            answer = await _post(fragile.server.url, "/auth/logout-everywhere?all=true", _bearer(phone))
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), "the others were not told"
            await _all_closed(talks, 5.0)
            for session in (phone, tablet):
                assert (await _post(other.url, "/v1/tickets", _bearer(session))).json()["code"] == "session_revoked"
        finally:
            admin.execute_command("ACL", "SETUSER", "default", "allchannels")


@DIALECTS
async def test_without_notifications_sockets_end_by_their_servers_own_look(
    fragile: Fragile, beside: Stack, v1: bool
) -> None:
    """The server that ends the session dies between PostgreSQL and everything else: nobody is told."""
    other = beside.start(workers=1, SESSION_CHECK_SECONDS="0.5")
    mobile = await _sign_up(fragile.server.url)
    session = await _log_in(fragile.server.url, mobile)
    tablet = await _log_in(fragile.server.url, mobile, "tablet")
    talks = [await _open(fragile.server, session, v1), await _open(other, tablet, v1)]
    end = f"UPDATE sessions SET revoked_at = now() WHERE user_id = '{session['id']}'"  # noqa: S608
    await asyncio.to_thread(fragile.postgres.fetch, end, urlsplit(other.env["DATABASE_URL"]).path[1:])
    await _all_closed(talks, 5.0)
