"""C1–C8: who logs in and refreshes, and what ends a session. The server is a table of answers; time is a number."""

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from whatsapp_mini import ApiError, LoggedOut, MemoryStore, Session, SqliteStore, Store, StoreMismatch
from whatsapp_mini.api import Api
from whatsapp_mini.http import Http
from whatsapp_mini.session_keeper import Clock, SessionKeeper

from tests.clients.python.support import Dice

HOUR, ISSUED = 3600.0, 1_800_000_000
ME, PASSWORD = "919100000000", "correct horse"
Answer = tuple[int, Mapping[str, Any]] | Exception


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def tokens(number: int, life: float = 24 * HOUR, mobile_no: str = ME) -> dict[str, Any]:
    """What a log-in or a refresh answers."""
    claims = base64.urlsafe_b64encode(json.dumps({"iat": ISSUED, "n": number}).encode()).rstrip(b"=").decode()
    return {
        "id": "1",
        "name": "Me",
        "mobileNo": mobile_no,
        "deviceId": "primary",
        "token": f"head.{claims}.tail",
        "expiresAt": moment(ISSUED + life),
        "refreshToken": f"wmr_{number}",
        "refreshExpiresAt": moment(ISSUED + 60 * 24 * HOUR),
    }


def refusal(status: int, code: str, **more: Any) -> Answer:
    return status, {"message": "No.", "code": code, **more}


class World:
    """A server whose answers a test lists, a clock, and a keeper. ``asked`` are the requests, as (path, body)."""

    def __init__(self, store: Store | None = None, password: str = PASSWORD) -> None:
        self.now, self.wall = 0.0, float(ISSUED)
        self.store = store or MemoryStore()
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.times: list[float] = []
        self.tokens_seen: list[str] = []
        self.before_answer: Callable[[], Awaitable[None]] | None = None
        http = Http("http://server", httpx.MockTransport(self._answer))
        clock = Clock(lambda: self.now, lambda: self.wall, self._sleep)
        self.keeper = SessionKeeper(http, self.store, clock, ME, password, None, None, Dice(1))
        self.api = Api(http, self.keeper)
        self.ended: list[str] = []
        self.keeper.on_logged_out = lambda error: self.ended.append(str(error.code))

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.path, json.loads(request.content or b"{}")))
        self.times.append(self.now)
        self.tokens_seen.append(request.headers.get("Authorization", "")[7:])
        if self.before_answer is not None:
            await self.before_answer()
        answer = self.answers[request.url.path].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer[0], json={"success": answer[0] == 200, **answer[1]})

    def will(self, path: str, *answers: Answer | dict[str, Any]) -> None:
        """Answer so, one after the other."""
        listed: list[Answer] = [(200, answer) if isinstance(answer, dict) else answer for answer in answers]
        self.answers.setdefault(path, []).extend(listed)

    async def logged_in(self, **how: Any) -> str:
        self.will("/auth/login", tokens(1, **how))
        return await self.keeper.token()

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


async def kept(store: Store) -> Session | None:
    return (await store.load()).session


class TestBeginning:
    """C1."""

    async def test_without_a_session_it_logs_in_and_keeps_it(self) -> None:
        world = World()
        token = await world.logged_in()
        assert world.asked == [("/auth/login", {"mobileNo": ME, "password": PASSWORD})]
        session = await kept(world.store)
        assert session is not None
        assert (session.token, session.url, session.device_id) == (token, "http://server", "primary")

    async def test_a_stored_session_is_used(self) -> None:
        first = World()
        token = await first.logged_in()
        world = World(first.store)
        world.keeper.load(await kept(world.store))
        assert await world.keeper.token() == token
        assert world.asked == []

    async def test_without_a_password_there_is_no_other_way(self) -> None:
        world = World(password="")
        with pytest.raises(LoggedOut, match="token_missing"):
            await world.keeper.token()

    @pytest.mark.parametrize("changes", [{"url": "http://other"}, {"mobile_no": "919100000009"}])
    async def test_a_session_of_another_server_or_number_is_not_used(self, changes: dict[str, str]) -> None:
        world = World()
        await world.logged_in()
        session = await kept(world.store)
        assert session is not None
        with pytest.raises(StoreMismatch):
            World().keeper.load(Session(**{**_fields(session), **changes}))

    @pytest.mark.parametrize("code", ["credentials_wrong", "bad_mobile"])
    async def test_a_refused_log_in_is_said(self, code: str) -> None:
        world = World()
        world.will("/auth/login", refusal(401, code))
        with pytest.raises(LoggedOut, match=code):
            await world.keeper.token()
        assert world.ended == [code]

    @pytest.mark.parametrize(("status", "code"), [(429, "rate_limited"), (503, "busy"), (409, "too_many_devices")])
    async def test_a_log_in_that_may_work_later_is_no_end(self, status: int, code: str) -> None:
        world = World()
        world.will("/auth/login", refusal(status, code, retryAfter=7.5, devices=[{"deviceId": "x"}]))
        with pytest.raises(ApiError) as refused:
            await world.keeper.token()
        assert (refused.value.code, refused.value.retry_after, world.ended) == (code, 7.5, [])
        assert refused.value.devices == [{"deviceId": "x"}]


class TestRefreshing:
    """C2, C3, C4, C6."""

    @pytest.mark.parametrize(("life", "at"), [(24 * HOUR, 24 * HOUR - 300), (1000, 900)])
    async def test_a_tenth_or_five_minutes_before_the_end(self, life: float, at: float) -> None:
        world = World()
        await world.logged_in(life=life)
        world.now = at - 0.1
        assert world.keeper.refresh_in() == pytest.approx(0.1)
        await world.keeper.token()
        assert world.paths() == ["/auth/login"]
        world.now = at
        world.will("/auth/refresh", tokens(2, life))
        await world.keeper.token()
        assert world.asked[-1] == ("/auth/refresh", {"refreshToken": "wmr_1"})
        session = await kept(world.store)
        assert session is not None
        assert session.refresh_token == "wmr_2"

    async def test_a_request_that_was_refused_for_it_is_sent_again_once(self) -> None:
        world = World()
        await world.logged_in()
        profile = {"id": "1", "name": "Me", "about": "", "mobileNo": ME, "deviceId": "x", "createdAt": moment(ISSUED)}
        world.will("/v1/me", refusal(401, "token_expired"), profile, refusal(401, "token_expired"))
        world.will("/auth/refresh", tokens(2), tokens(3))
        assert (await world.api.me()).created_at == datetime.fromtimestamp(ISSUED, UTC)
        assert world.tokens_seen[1] != world.tokens_seen[3]
        world.will("/v1/me", refusal(401, "token_expired"))
        with pytest.raises(ApiError, match="token_expired"):
            await world.api.me()
        assert world.paths().count("/v1/me") == 4

    async def test_however_many_want_it_one_refresh_runs(self) -> None:
        world = World()
        stale = await world.logged_in()
        world.will("/auth/refresh", tokens(2))
        got = await asyncio.gather(*(world.keeper.renewed(stale) for _ in range(20)))
        assert len(set(got)) == 1
        assert got[0] != stale
        assert await world.keeper.renewed(stale) == got[0]
        assert world.paths().count("/auth/refresh") == 1

    @pytest.mark.parametrize("kind", ["memory", "file"])
    async def test_what_another_user_of_the_store_refreshed_is_used(self, kind: str, tmp_path: Any) -> None:
        stores = [MemoryStore()] * 2 if kind == "memory" else [SqliteStore(tmp_path / "me") for _ in range(2)]
        one, other = World(stores[0]), World(stores[1])
        stale = await one.logged_in()
        other.keeper.load(await kept(other.store))
        for world in (one, other):  # whichever is in the lock first
            world.will("/auth/refresh", tokens(2))
            world.before_answer = lambda: asyncio.sleep(0.05)
        got = await asyncio.gather(one.keeper.renewed(stale), other.keeper.renewed(stale))
        assert got[0] == got[1] != stale
        assert [*one.paths(), *other.paths()].count("/auth/refresh") == 1
        for store in stores:
            await store.close()

    async def test_new_tokens_are_kept_before_they_are_used(self) -> None:
        class Watched(MemoryStore):
            async def save_session(self, session: Session | None) -> None:
                await asyncio.sleep(0)
                log.append("kept")
                await super().save_session(session)

        log: list[str] = []
        world = World(Watched())
        stale = await world.logged_in()
        log.clear()
        world.will("/auth/refresh", tokens(2))
        task = asyncio.ensure_future(world.keeper.renewed(stale))
        task.add_done_callback(lambda _: log.append("used"))
        await task
        await asyncio.sleep(0)
        assert log == ["kept", "used"]

    async def test_a_caller_that_leaves_does_not_lose_the_new_tokens(self) -> None:
        world = World()
        stale = await world.logged_in()
        world.will("/auth/refresh", tokens(2))
        world.before_answer = lambda: asyncio.sleep(0.02)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.keeper.renewed(stale), 0.001)
        await world.keeper.settle()
        session = await kept(world.store)
        assert session is not None
        assert session.refresh_token == "wmr_2"

    async def test_without_an_answer_the_same_request_goes_out_at_once_and_after_two_seconds(self) -> None:
        world = World()
        stale = await world.logged_in()
        world.will("/auth/refresh", *[httpx.ReadTimeout("")] * 3)
        with pytest.raises(ApiError, match="unreachable"):
            await world.keeper.renewed(stale)
        assert world.asked[1:] == [("/auth/refresh", {"refreshToken": "wmr_1"})] * 3
        assert world.times[1:] == [0, 0, 2]
        world.will("/auth/refresh", httpx.ReadTimeout(""), tokens(2))
        assert await world.keeper.renewed(stale) != stale

    @pytest.mark.parametrize(
        ("answer", "least"),
        [
            (refusal(429, "rate_limited", retryAfter=90), 90),
            (refusal(503, "unavailable"), 30),
            (refusal(500, "internal"), 30),
        ],
    )
    async def test_another_refusal_leaves_the_session_as_it_is(self, answer: Answer, least: float) -> None:
        world = World()
        token = await world.logged_in()
        world.now = 24 * HOUR - 200
        world.will("/auth/refresh", answer)
        assert await world.keeper.token() == token, "it is good for some minutes more"
        in_seconds = world.keeper.refresh_in()
        assert in_seconds is not None
        assert least <= in_seconds <= least + 1
        await world.keeper.token()
        assert world.paths().count("/auth/refresh") == 1
        world.now += in_seconds
        world.will("/auth/refresh", tokens(2))
        assert await world.keeper.token() != token
        assert world.asked[-1][1] == {"refreshToken": "wmr_1"}


class TestEnd:
    """C5."""

    ENDS = ("refresh_invalid", "refresh_reused", "session_revoked", "token_invalid", "token_expired")

    @pytest.mark.parametrize("code", ENDS)
    async def test_it_is_removed_and_the_client_logs_in_anew_once(self, code: str) -> None:
        world = World()
        stale = await world.logged_in()
        world.will("/auth/refresh", refusal(401, code), refusal(401, code))
        world.will("/auth/login", tokens(2))
        replaced: list[int] = []
        world.keeper.on_new_session = lambda: replaced.append(world.keeper.generation)
        fresh = await world.keeper.renewed(stale)
        assert (fresh != stale, replaced, world.ended) == (True, [2], [])
        with pytest.raises(LoggedOut, match=code):
            await world.keeper.renewed(fresh)
        assert (world.ended, await kept(world.store)) == ([code], None)

    async def test_after_it_was_online_it_may_log_in_anew_again(self) -> None:
        world = World()
        token = await world.logged_in()
        for number in (2, 3, 4):
            world.will("/auth/refresh", refusal(401, "session_revoked"))
            world.will("/auth/login", tokens(number))
            token = await world.keeper.renewed(token)
            world.keeper.is_good()

    async def test_without_a_password_it_is_logged_out(self) -> None:
        first = World()
        await first.logged_in()
        world = World(first.store, password="")
        world.keeper.load(await kept(world.store))
        world.will("/v1/me", refusal(401, "session_revoked"))
        with pytest.raises(LoggedOut, match="session_revoked"):
            await world.api.me()
        assert (await kept(world.store), world.paths()) == (None, ["/v1/me"])

    @pytest.mark.parametrize("code", ["session_revoked", "token_invalid"])
    async def test_a_request_that_tells_so_is_sent_again_with_the_new_session(self, code: str) -> None:
        world = World()
        await world.logged_in()
        world.will("/v1/tickets", refusal(401, code), {"ticket": "t"})
        world.will("/auth/login", tokens(2))
        assert await world.api.ticket() == "t"

    async def test_a_device_without_a_place_does_not_log_in_by_itself(self) -> None:
        world = World()
        await world.logged_in()
        world.now = 24 * HOUR
        world.will("/auth/refresh", refusal(409, "too_many_devices", devices=[{"deviceId": "x"}]))
        with pytest.raises(ApiError, match="too_many_devices"):
            await world.keeper.token()
        world.will("/auth/login", tokens(2))
        await world.api.log_in(PASSWORD, replace_device_id="x")
        assert world.asked[-1][1]["replaceDeviceId"] == "x"
        assert world.paths().count("/auth/login") == 2


class TestClock:
    """C8: the wall clock may be wrong."""

    @pytest.mark.parametrize("wrong", [-10 * 365 * 24 * HOUR, 10 * 365 * 24 * HOUR])
    async def test_a_wrong_wall_clock_neither_logs_out_nor_floods(self, wrong: float) -> None:
        world = World()
        world.wall += wrong
        await world.logged_in()
        for _ in range(100):
            await world.keeper.token()
        assert world.keeper.refresh_in() == 24 * HOUR - 300
        assert world.paths() == ["/auth/login"]

    @pytest.mark.parametrize("wrong", [-10 * 365 * 24 * HOUR, 10 * 365 * 24 * HOUR])
    async def test_after_a_restart_it_costs_one_refresh_at_most(self, wrong: float) -> None:
        first = World()
        await first.logged_in()
        world = World(first.store)
        world.wall += wrong
        world.keeper.load(await kept(world.store))
        world.will("/auth/refresh", tokens(2))
        for _ in range(100):
            await world.keeper.token()
        assert len(world.asked) == (1 if wrong > 0 else 0)
        in_seconds = world.keeper.refresh_in()
        assert in_seconds is not None
        assert in_seconds <= 24 * HOUR

    async def test_what_another_user_refreshed_is_not_old_because_the_wall_clock_is_wrong(self) -> None:
        one = World()
        stale = await one.logged_in()
        other = World(one.store)
        other.keeper.load(await kept(other.store))
        one.will("/auth/refresh", tokens(2))
        await one.keeper.renewed(stale)
        other.now, other.wall = HOUR, other.wall + 365 * 24 * HOUR
        got = await other.keeper.renewed(stale)
        assert other.keeper.refresh_in() == 23 * HOUR - 300
        assert await other.keeper.token() == got
        assert other.asked == []

    async def test_a_jump_changes_nothing(self) -> None:
        world = World()
        await world.logged_in()
        before = world.keeper.refresh_in()
        world.wall += 365 * 24 * HOUR
        assert world.keeper.refresh_in() == before


async def test_nothing_secret_is_in_errors_reprs_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    """C7, of what goes over HTTP; texts and tickets: test_client.py."""
    caplog.set_level(logging.DEBUG)
    world = World()
    token = await world.logged_in()
    world.will("/auth/refresh", *[httpx.ConnectError("for http://server?x")] * 3)
    with pytest.raises(ApiError) as failed:
        await world.keeper.renewed(token)
    shown = f"{failed.value!r} {failed.value} {world.keeper.session!r} {await world.store.load()!r} {caplog.text}"
    for secret in (token, PASSWORD, "wmr_1"):
        assert secret not in shown


def _fields(session: Session) -> dict[str, str]:
    return {name: getattr(session, name) for name in Session.__slots__}
