"""Everything that is held about a person is exported, or left out for a reason that is written here."""

import asyncio
import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

import models
from accounts import event_log
from delivery import held
from delivery.keys import Person
from models import Block, Session, SessionEvent, User
from protocol.errors import ApiError
from tests.support.api import Api, make_settings, serve
from tests.support.messaging import OneServer, Row

A, B, C = "919800000001", "919800000002", "919800000003"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)

SECRET, COUNTER, OTHERS, OURS = "a secret", "a counter of ours", "another person's, too", "about a server of ours"
COLUMNS: dict[str, str] = {
    "User.id": "profile.id",
    "User.mobile_no": "profile.mobileNo",
    "User.name": "profile.name",
    "User.about": "profile.about",
    "User.created_at": "profile.createdAt",
    "User.mobile_since": "profile.mobileSince",
    "User.last_seen_at": "presence.lastSeenBefore",
    "User.last_seen_to": "privacy.lastSeen",
    "User.online_to": "privacy.online",
    "User.read_receipts": "privacy.readReceipts",
    "User.stranger_receipts": "privacy.strangerReceipts",
    "Session.id": "sessions.0.id",
    "Session.device_id": "sessions.0.deviceId",
    "Session.device_name": "sessions.0.deviceName",
    "Session.created_at": "sessions.0.createdAt",
    "Session.expires_at": "sessions.0.expiresAt",
    "Session.revoked_at": "sessions.0.endedAt",
    "Session.last_used_at": "sessions.0.lastUsedAt",
    "Session.refreshed_at": "sessions.0.refreshedAt",
    "Block.blocked": "blocks.0.mobileNo",
    "Block.created_at": "blocks.0.since",
    "SessionEvent.id": "events.0.id",
    "SessionEvent.kind": "events.0.kind",
    "SessionEvent.session_id": "events.0.sessionId",
    "SessionEvent.device_id": "events.0.deviceId",
    "SessionEvent.reason": "events.0.reason",
    "SessionEvent.at": "events.0.at",
    "SessionEvent.times": "events.0.times",
}
"""Column -> where it is in the export."""
NO_COLUMNS: dict[str, str] = {
    "User.password_hash": SECRET,
    "User.blocks_version": COUNTER,
    "User.blocks_changed_at": COUNTER,
    "Session.user": "profile.id",
    "Session.refresh_generation": COUNTER,
    "Session.refresh_key": SECRET,
    "Session.refresh_hash": SECRET,
    "Block.id": COUNTER,
    "Block.blocker": "profile.id",
    "SessionEvent.user": "profile.id",
    "SessionEvent.mobile_no": "profile.mobileNo; or one the person had before, which is another's now",
    "SessionEvent.server_id": OURS,
    "Departure.mobile_no": "of people who have left",
    "Departure.account_id": "of people who have left",
    "Departure.sessions": "of people who have left",
    "Departure.at": "of people who have left",
    "Meta.key": "about the database",
    "Meta.value": "about the database",
}
"""Column -> why it is left out."""
KEYS: dict[str, str] = {
    "user": "devices.0.deviceId",
    "mailbox": "waiting.0.message",
    "leases": "connections.0.deviceId",
    "last_seen": "presence.lastSeen",
    "answered": "contacts.0",
    "strangers": "unanswered.0",
    "login_places": "loginPlaces.0.digest",
}
"""Key of a person in Redis -> where it is in the export."""
NO_KEYS: dict[str, str] = {
    "blocks": "a copy of what PostgreSQL holds: blocks",
    "blocked_at": "what blocked people may see: presence.lastSeen at blocks.since",
    "shadows": f"who wrote while they were blocked: {OTHERS}, and without a text",
    "entry_states": "states of what waits, for a moment",
    "tally": "sums of what waits",
    "watchers": f"who looks at their presence just now: {OTHERS}",
    "dedupe": "digests, for a day",
    "dedupe_before": "digests, for a day",
    "left_by": "of somebody who has left the number",
}
"""Key -> why it is left out. Rate limits and tickets are no keys of a person: they end by themselves within an hour or
two."""


def columns() -> set[str]:
    """Every column of every model, a reference by the name of what it refers to."""
    kinds = [getattr(models, name) for name in models.__all__ if hasattr(getattr(models, name), "_meta")]
    found = set()
    for kind in kinds:
        meta = kind._meta
        # When Tortoise has begun, the column of a reference is a field as well.
        references = {f"{name}_id" for name in meta.fk_fields}
        found |= {f"{kind.__name__}.{name}" for name in {*meta.db_fields, *meta.fk_fields} - references}
    return found


def at(found: Any, path: str) -> Any:
    for part in path.split("."):
        found = found[int(part)] if part.isdigit() else found[part]
    return found


def test_each_column_and_each_key_is_exported_or_left_out_for_a_reason() -> None:
    keys = {name for name, value in vars(Person).items() if isinstance(value, property)}
    assert {*COLUMNS, *NO_COLUMNS} == columns(), "say where a new column is, or why it is left out"
    assert {*KEYS, *NO_KEYS} == keys, "say where a new key is, or why it is left out"
    assert not COLUMNS.keys() & NO_COLUMNS.keys()
    assert not KEYS.keys() & NO_KEYS.keys()


@pytest.fixture
async def asha(api: Api, redis: "Redis") -> dict[str, str]:
    """A's headers. Each column and each key of hers holds something."""
    await api.sign_up(B, "Bela")
    headers = await api.person(A, "Asha")
    user, bela = await User.get(mobile_no=A), await User.get(mobile_no=B)
    await User.filter(id=user.id).update(about="here", mobile_since=NOW, last_seen_at=NOW, last_seen_to="contacts")
    await Session.create(
        id="0f8fad5b-d9cb-469f-a165-70867728950e",
        user=user,
        device_id="phone",
        device_name="A phone",
        expires_at=NOW + timedelta(days=1),
        last_used_at=NOW,
        refreshed_at=NOW,
        revoked_at=NOW,
        refresh_key="key",
        refresh_hash="hash",
    )
    await Session.filter(id="0f8fad5b-d9cb-469f-a165-70867728950e").update(created_at=NOW)
    await Block.create(blocker=user, blocked=bela)
    await SessionEvent.create(
        user=user,
        mobile_no=A,
        kind="disconnect",
        session_id="0f8fad5b-d9cb-469f-a165-70867728950e",
        server_id="server",
        device_id="phone",
        reason="1000 bye",
        at=NOW,
        times=3,
    )
    server, mine = OneServer(redis, rows={A: Row(str(user.id)), B: Row("b")}), Person(A)
    await server.mail.store(A, B, [("m1", "hello Asha")])
    await server.mail.receipt(A, B, "read", ["r1"])
    await redis.hset(mine.user, "dev:phone", 1_700_000_000_000)  # type: ignore[misc]
    await redis.hset(mine.leases, "phone", "s1 c1 1700000000000 1700000060000")  # type: ignore[misc]
    await redis.set(mine.last_seen, 1_700_000_000_000)
    await redis.sadd(mine.answered, B)  # type: ignore[misc]
    await redis.hset(mine.strangers, C, 1)  # type: ignore[misc]
    await redis.zadd(mine.login_places, {"digest": 1_700_000_000_000})
    return headers


async def _export(api: Api, headers: dict[str, str]) -> httpx.Response:
    return await api.client.get("/v1/export", headers=headers)


async def test_everything_is_where_it_is_said_to_be(api: Api, asha: dict[str, str]) -> None:
    answer = await _export(api, asha)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    found = answer.json()
    for path in (*COLUMNS.values(), *KEYS.values()):
        assert at(found, path) not in {None, ""}, path
    waiting = found["waiting"]
    assert [(one["type"], one["from"]) for one in waiting] == [("chat", B), ("ack", B)]
    assert (waiting[0]["messageId"], waiting[0]["message"]) == ("m1", "hello Asha")
    assert (waiting[1]["ackType"], waiting[1]["messageIds"]) == ("read", ["r1"])
    assert all(one["streamId"].startswith(str(one["timestamp"])) for one in waiting)
    assert found["profile"]["mobileSince"] == found["sessions"][0]["endedAt"] == "2026-01-02T03:04:05.678Z"
    assert found["privacy"]["lastSeen"] == "contacts"
    assert found["blocks"][0]["mobileNo"] == B
    assert (found["events"][0]["times"], found["events"][0]["reason"]) == (3, "1000 bye")
    assert (found["contacts"], found["unanswered"]) == ([B], [C])


async def test_no_secret_is_in_it(api: Api, asha: dict[str, str]) -> None:
    user, sessions = await User.get(mobile_no=A), await Session.filter(user__mobile_no=A)
    text = (await _export(api, asha)).text
    secrets = [user.password_hash, *[one.refresh_key for one in sessions], *[one.refresh_hash for one in sessions]]
    assert [secret for secret in secrets if f'"{secret}"' in text or (len(secret) > 20 and secret in text)] == []
    assert "password" not in text


async def test_long_lists_come_in_pages_and_nothing_is_settled(
    api: Api, asha: dict[str, str], redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "PAGE", 3)
    monkeypatch.setattr(event_log, "MAX_EVENTS", 3)
    user = await User.get(mobile_no=A)
    server = OneServer(redis, rows={A: Row(str(user.id)), B: Row("b")})
    for n in range(10):
        await server.mail.store(A, B, [(f"m{n}", "x")])
        await SessionEvent.create(user=user, mobile_no=A, kind="connect", at=NOW)
    before = await redis.dump(Person(A).mailbox)
    found = (await _export(api, asha)).json()
    assert len(found["waiting"]) == 11  # m1 was there before, with another text
    assert len(found["events"]) == await SessionEvent.filter(user=user).count() > 10
    assert len({one["id"] for one in found["events"]}) == len(found["events"])
    assert await redis.dump(Person(A).mailbox) == before


async def test_a_person_whom_redis_does_not_hold_is_loaded(api: Api, redis: "Redis") -> None:
    asha = await api.person(A, "Asha")
    await redis.flushall()
    found = (await _export(api, asha)).json()
    assert (found["waiting"], found["devices"], found["presence"]) == ([], [], {})


async def test_an_export_that_breaks_off_is_no_json(
    api: Api, asha: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> list[Any]:
        raise ApiError("unavailable")

    monkeypatch.setattr("handlers.export.past_events", away)
    with pytest.raises(httpx.RemoteProtocolError):
        await _export(api, asha)


async def test_while_the_number_is_left_its_next_owners_mailbox_is_not_read(
    api: Api, asha: dict[str, str], redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "PAGE", 1)
    user = await User.get(mobile_no=A)
    reading = api.services.held.waiting(A, str(user.id))
    assert len(await anext(reading)) == 1
    await User.filter(id=user.id).delete()
    await api.sign_up(A, "The next")
    following = await User.get(mobile_no=A)
    server = OneServer(redis, rows={A: Row(str(following.id)), B: Row("b")})
    await server.people.load(A)
    await server.mail.store(A, B, [("secret", "for the next owner")])
    with pytest.raises(ApiError, match="session_revoked"):
        await anext(reading)


async def test_every_sort_of_entry_is_told_and_one_that_cannot_be_read_is_named(
    api: Api, asha: dict[str, str], redis: "Redis"
) -> None:
    mailbox = Person(A).mailbox
    await redis.xadd(mailbox, {"k": "o", "t": B, "i": "m2", "m": "mine", "s": "1700000000000", "d": "phone"})
    await redis.xadd(mailbox, {"k": "w", "f": B, "i": "m1 m3", "d": "phone"})
    await redis.xadd(mailbox, {"k": "of a later version"})
    found = (await _export(api, asha)).json()
    assert [one["type"] for one in found["waiting"]] == ["chat", "ack", "own", "ownRead", "unknown"]
    own = found["waiting"][2]
    assert (own["to"], own["message"], own["sentAt"]) == (B, "mine", 1_700_000_000_000)


async def test_one_export_a_minute(redis: "Redis", valkey_url: str, database_url: str) -> None:
    async with serve(make_settings(valkey_url, database_url, rate_limits="on")) as api:
        asha = await api.person(A)
        assert [(await _export(api, asha)).status_code for _ in range(2)] == [200, 429]


async def test_without_redis_it_says_so_before_anything_else(
    api: Api, asha: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise ApiError("unavailable")

    monkeypatch.setattr("delivery.held.Held.of", away)
    answer = await _export(api, asha)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (503, "unavailable")


async def test_what_a_client_does_not_read_is_not_read_from_redis(
    api: Api, asha: dict[str, str], redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, read = 0, held.Held._read

    async def counted(*args: Any) -> list[Any]:
        nonlocal pages
        pages += 1
        return await read(*args)

    monkeypatch.setattr(held.Held, "_read", counted)
    async with redis.pipeline(transaction=False) as pipe:
        for n in range(1_000):
            pipe.xadd(Person(A).mailbox, {"k": "c", "f": B, "i": f"n{n}", "m": "x" * 16_000})
        await pipe.execute()
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    slow.connect(("127.0.0.1", api.port))
    slow.setblocking(False)
    head = f"GET /v1/export HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {asha['Authorization']}\r\n\r\n"
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(slow, head.encode())
    before = -1
    async with asyncio.timeout(20):
        while pages > before or not pages:  # until it stands still
            before = pages
            await asyncio.sleep(0.5)
    assert pages < 15, "of 21: the rest is in the buffers of the kernel"
    size = 0
    async with asyncio.timeout(20):
        while part := await loop.sock_recv(slow, 2**20):
            size += len(part)
    slow.close()
    assert size > 16_000_000
    assert pages > 21
