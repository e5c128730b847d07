"""PostgreSQL or Redis away: a coded 503 within six seconds, and everything works again by itself."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from protocol.errors import ApiError
from tests.support.api import PASSWORD, Api, make_settings, serve
from tests.support.processes import patient
from tools.devstack.postgres import Postgres
from tools.devstack.valkey import Valkey

A, B = "919800000001", "919800000002"
LOGIN = {"mobileNo": A, "password": PASSWORD}


@pytest.fixture
async def on_mortal_postgres(redis: "Redis", valkey_url: str, own_postgres: Postgres) -> AsyncIterator[Api]:
    async with serve(make_settings(valkey_url, own_postgres.dsn())) as running:
        yield running


@pytest.fixture
async def on_mortal_valkey(own_valkey: Valkey, database_url: str) -> AsyncIterator[Api]:
    async with serve(make_settings(own_valkey.url, database_url)) as running:
        yield running


async def _refused(api: Api, method: str, path: str, **more: object) -> None:
    started = time.monotonic()
    answer = await api.client.request(method, path, **more)  # type: ignore[arg-type]
    assert time.monotonic() - started < patient(6), path
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), path
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(("away", "back"), [("stop", "start"), ("pause", "resume"), ("kill", "start")])
async def test_postgresql_away(on_mortal_postgres: Api, own_postgres: Postgres, away: str, back: str) -> None:
    api = on_mortal_postgres
    await api.sign_up(B)
    headers = await api.person(A)
    assert (await api.client.get("/block-action/list", headers=headers)).status_code == 200
    await asyncio.to_thread(getattr(own_postgres, away))
    await asyncio.gather(
        _refused(api, "POST", "/auth/login", json=LOGIN),
        _refused(api, "POST", "/auth/signin", json={"name": "New", **LOGIN, "mobileNo": "919800000003"}),
        _refused(api, "POST", "/auth/logout", headers=headers),
        _refused(api, "POST", "/auth/logout-everywhere", headers=headers),
        _refused(api, "POST", "/auth/refresh", json={"refreshToken": f"wmr_{'A' * 70}"}),
        _refused(
            api,
            "POST",
            "/auth/password",
            json={"currentPassword": PASSWORD, "newPassword": "x" * 6 + "y"},
            headers=headers,
        ),
        _refused(api, "GET", "/v1/sessions", headers=headers),
        _refused(api, "GET", "/v1/events", headers=headers),
        _refused(api, "GET", "/v1/devices", headers=headers),
        _refused(api, "POST", "/block-action/block", json={"blockedUserMobileNo": B}, headers=headers),
        _refused(api, "DELETE", f"/block-action/unblock?mobileNo={B}", headers=headers),
        _refused(api, "GET", "/block-action/list", headers=headers),
        _refused(api, "GET", f"/profile/lastseen?mobileNo={B}", headers=headers),
    )
    # What needs no PostgreSQL goes on: the session is remembered in Redis.
    assert (await api.client.post("/v1/tickets", headers=headers)).status_code == 200
    assert (await api.client.get("/health")).status_code == 200
    assert api.notes.changes == []
    assert api.notes.closed == []
    await asyncio.to_thread(getattr(own_postgres, back))
    await asyncio.sleep(0.1)
    assert (await api.client.post("/auth/login", json=LOGIN)).status_code == 200
    blocked = await api.client.post("/block-action/block", json={"blockedUserMobileNo": B}, headers=headers)
    assert blocked.status_code == 200
    assert api.notes.blocks[-1] == (1, [B])


async def test_postgresql_read_only(on_mortal_postgres: Api, own_postgres: Postgres) -> None:
    """A failover: what reads is answered, what writes gets a 503."""
    api = on_mortal_postgres
    await api.sign_up(B)
    headers = await api.person(A)
    await asyncio.to_thread(own_postgres.fetch, "ALTER SYSTEM SET default_transaction_read_only = on")
    await asyncio.to_thread(own_postgres.fetch, "SELECT pg_reload_conf()")
    await asyncio.sleep(0.5)
    await _refused(api, "POST", "/auth/login", json=LOGIN)
    await _refused(api, "POST", "/auth/signin", json={"name": "New", **LOGIN, "mobileNo": "919800000003"})
    await _refused(api, "POST", "/auth/logout", headers=headers)
    await _refused(api, "POST", "/block-action/block", json={"blockedUserMobileNo": B}, headers=headers)
    await _refused(api, "DELETE", f"/block-action/unblock?mobileNo={B}", headers=headers)
    assert (await api.client.get("/block-action/list", headers=headers)).status_code == 200
    await asyncio.to_thread(own_postgres.fetch, "ALTER SYSTEM RESET default_transaction_read_only")
    await asyncio.to_thread(own_postgres.fetch, "SELECT pg_reload_conf()")
    await asyncio.sleep(0.5)
    assert (await api.client.post("/auth/login", json=LOGIN)).status_code == 200


@pytest.mark.parametrize(("away", "back"), [("stop", "start"), ("pause", "resume")])
async def test_redis_away(on_mortal_valkey: Api, own_valkey: Valkey, away: str, back: str) -> None:
    api = on_mortal_valkey
    await api.sign_up(B)
    headers = await api.person(A)
    await asyncio.to_thread(getattr(own_valkey, away))
    # PostgreSQL knows the session; tickets and log-outs need Redis.
    started = time.monotonic()
    listing = api.client.get("/block-action/list", headers=headers)
    login = api.client.post("/auth/login", json=LOGIN)
    assert [answer.status_code for answer in await asyncio.gather(listing, login)] == [200, 200]
    assert time.monotonic() - started < patient(5)
    await _refused(api, "POST", "/auth/logout", headers=headers)
    await _refused(api, "POST", "/v1/tickets", headers=await api.login(A))
    await asyncio.to_thread(getattr(own_valkey, back))
    # The log-out that was not confirmed is repeated; PostgreSQL had it already.
    assert (await api.client.post("/auth/logout", headers=headers)).status_code in {200, 401}
    assert (await api.client.post("/v1/tickets", headers=await api.login(A))).status_code == 200


async def test_without_redis_sessions_are_refreshed_and_thieves_found(own_valkey: Valkey, database_url: str) -> None:
    settings = make_settings(own_valkey.url, database_url, rate_limits="on")
    async with serve(settings) as api:
        await api.sign_up(A)
        first = (await api.client.post("/auth/login", json=LOGIN)).json()
        await asyncio.to_thread(own_valkey.stop)

        async def refresh(token: str) -> tuple[int, dict[str, str]]:
            answer = await api.client.post("/auth/refresh", json={"refreshToken": token})
            return answer.status_code, answer.json()

        status, second = await refresh(first["refreshToken"])
        assert status == 200
        status, third = await refresh(second["refreshToken"])
        headers = {"Authorization": f"Bearer {third['token']}"}
        assert (status, (await api.client.get("/v1/events", headers=headers)).status_code) == (200, 200)
        api.notes.fail = ApiError("unavailable")  # nor can the other servers be told
        status, refused = await refresh(first["refreshToken"])
        assert (status, refused["code"]) == (503, "unavailable")
        assert (await api.client.get("/v1/events", headers=headers)).json()["code"] == "session_revoked"
        assert (await refresh(third["refreshToken"]))[1]["code"] == "session_revoked"
        await api.services.sessions.stop()


async def test_with_both_away_every_token_fails(on_mortal_valkey: Api, own_valkey: Valkey) -> None:
    api = on_mortal_valkey
    headers = await api.person(A)
    await asyncio.to_thread(own_valkey.stop)
    await _refused(api, "POST", "/v1/tickets", headers=headers)


async def test_with_everything_frozen_responses_come_in_time(own_valkey: Valkey, own_postgres: Postgres) -> None:
    async with serve(make_settings(own_valkey.url, own_postgres.dsn())) as api:
        headers = await api.person(A)
        assert (await api.client.post("/v1/tickets", headers=headers)).status_code == 200
        await asyncio.to_thread(own_valkey.pause)
        await asyncio.to_thread(own_postgres.pause)
        try:
            await asyncio.gather(
                _refused(api, "POST", "/v1/tickets", headers=headers),
                _refused(api, "POST", "/block-action/block", json={"blockedUserMobileNo": B}, headers=headers),
                _refused(api, "POST", "/auth/login", json=LOGIN),
            )
        finally:
            await asyncio.to_thread(own_valkey.resume)
            await asyncio.to_thread(own_postgres.resume)
        assert (await api.client.get("/block-action/list", headers=headers)).status_code == 200


async def test_a_flushed_redis_revives_no_session(api: Api, redis: "Redis") -> None:
    await api.sign_up(A)
    gone, here = await api.login(A), await api.login(A)
    await api.client.post("/auth/logout", headers=gone)
    await redis.flushall()
    answer = await api.client.get("/block-action/list", headers=gone)
    assert (answer.status_code, answer.json()["code"]) == (401, "session_revoked")
    assert (await api.client.get("/block-action/list", headers=here)).status_code == 200
