"""The lease of a connection on a real Redis: kept, lost, taken, claimed again."""

import asyncio
import time

import pytest
from redis.asyncio import Redis

from delivery.keys import channel, people
from delivery.presence import Holder, Presence
from protocol.dialects import V1, Seed
from tests.support.messaging import ASHA, RAVI, HandConnection, Who, locked, until

LEASES, DEAD_LETTERS = f"leases:{{{RAVI}}}", f"parked:{{{RAVI}}}"
DIALECTS = pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])


async def test_a_sign_of_life_carries_the_lease_on_and_silence_does_not(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    before = await redis.hget(LEASES, "primary")  # type: ignore[misc]

    async def changed() -> bool:
        return bool(await redis.hget(LEASES, "primary") != before)  # type: ignore[misc]

    await asyncio.sleep(0.01)
    one.connection.tick(time.monotonic() + 100)
    await asyncio.sleep(0.1)
    assert not await changed()
    one.renew()
    await until(changed)


async def test_a_notification_that_was_lost_is_made_up_for_by_the_next_renewal(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    await one.server.mail.store(RAVI, ASHA, [("m-1", "hello")])
    await asyncio.sleep(0.1)
    assert one.chats() == []
    one.renew()
    await until(one.chats)


async def test_a_newer_connection_is_found_at_the_next_renewal(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    newer = Holder(RAVI, "primary", "s2", "c2")
    await one.server.presence.claim(newer, Who.account_id, mode="proven")
    one.renew()
    await one.over()
    assert one.socket.codes() == [4508]
    assert (await one.server.presence.renew(newer, 0)).verdict == "ok"


async def test_a_newer_connection_on_this_server_closes_the_older_one_at_once(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    two = HandConnection(one.server)
    two.connection.start()
    await until(lambda: two.socket.pings)
    two.connection.handle_sign_of_life()
    await one.over()
    assert one.socket.codes() == [4508]
    assert await one.server.presence.last_seen(RAVI, ASHA) == "online"


async def test_a_newer_connection_tells_the_server_of_the_older_one(redis: "Redis") -> None:
    one = HandConnection(redis)
    await one.server.presence.claim(Holder(RAVI, "primary", "s2", "c2"), Who.account_id)
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(channel("s2"))
        await until(pubsub.get_message)
        one.connection.start()
        await until(lambda: one.socket.pings)
        one.connection.handle_sign_of_life()
        async with asyncio.timeout(5):
            message = await anext(pubsub.listen())
    assert message["data"] == f"replaced {RAVI} c2".encode()


async def test_the_list_of_a_server_is_written_before_the_claim(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that no server's list leads to would never be swept."""
    claims = []
    monkeypatch.setattr(Presence, "claim", lambda *given, **_: claims.append(given))
    async with locked(redis, f"~*{{{RAVI}}}*"):
        one = HandConnection(redis)
        one.connection.start()
        await one.over()
    assert (one.socket.codes(), claims) == ([4004], [])


async def test_the_list_of_a_server_names_a_user_until_their_last_connection_has_left(redis: "Redis") -> None:
    phone = await HandConnection(redis, who=Who("phone")).begin()
    tablet = await HandConnection(phone.server, who=Who("tablet")).begin()
    phone.connection.handle_lost(1006, "")
    await phone.over()
    await asyncio.sleep(0.05)
    assert await redis.smembers(people("s1")) == {RAVI.encode()}  # type: ignore[misc]
    tablet.connection.handle_lost(1006, "")

    async def is_gone() -> bool:
        return not await redis.exists(people("s1"))

    await until(is_gone)


async def test_last_seen_is_the_last_sign_of_life_and_not_the_end(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    one.connection._session.last_sign_of_life -= 5
    ended = time.time()
    one.connection.handle_lost(1006, "")
    await one.over()
    seen = await one.server.presence.last_seen(RAVI, ASHA)
    assert isinstance(seen, int)
    assert 3 < ended - seen / 1000 < 7


async def test_a_lease_that_ended_is_claimed_again_without_a_word(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    await redis.delete(LEASES)
    one.renew()
    await until(lambda: redis.exists(LEASES))
    await one.hear("m-1")
    assert [frame["type"] for frame in one.socket.frames] == ["hello", "synced", "chat"]


async def test_a_fetch_that_finds_the_lease_lost_claims_it_again(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    await redis.delete(LEASES)
    await one.server.mail.store(RAVI, ASHA, [("m-1", "hello")])
    one.connection.notify("")
    await until(lambda: one.chats() == ["m-1"])


@DIALECTS
@pytest.mark.parametrize("found_by", ["a renewal", "a notification"])
async def test_a_client_is_told_that_storage_lost_everything_and_what_comes_then_arrives(
    redis: "Redis", dialect: V1 | Seed, found_by: str
) -> None:
    one = await HandConnection(redis, dialect).begin()
    before = await redis.hget(f"person:{{{RAVI}}}", "epoch")  # type: ignore[misc]
    await redis.flushall()
    if found_by == "a renewal":
        one.renew()
    else:
        one.connection.notify("")
    kind, words = ("resync", "reason") if dialect.joins_frames else ("system", "message")
    await until(lambda: [frame for frame in one.socket.of(kind) if frame.get("epoch")])
    told = one.socket.of(kind)[-1]
    after = await redis.hget(f"person:{{{RAVI}}}", "epoch")  # type: ignore[misc]
    assert (told["epoch"], told[words]) == (after.decode(), "storage lost something: send unanswered chats again")
    assert told.get("code") == (None if dialect.joins_frames else "resync")
    assert before != after
    await one.hear("m-1")
    assert one.socket.closes == []


async def test_a_number_that_changed_hands_ends_the_connection(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    one.server.rows[RAVI].account_id = "another account"
    await redis.flushall()
    one.renew()
    await one.over()
    assert one.socket.codes() == [4509]
