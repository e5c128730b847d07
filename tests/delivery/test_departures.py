"""A number is left: nothing more is stored, senders are told, nothing stays; cut off anywhere, and done twice."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from delivery import departures
from delivery.departures import NumberClearing
from delivery.expiry import Expiry
from delivery.keys import EVERYTHING, Person
from delivery.presence import Holder
from protocol.errors import ApiError
from tests.support.messaging import ASHA, EVE, RAVI, HandConnection, OneServer, Row, until

ACCOUNT, NEXT = f"account of {RAVI}", "the next owner"
HOLDER = Holder(RAVI, "primary", "s1", "c1")


@pytest.fixture
def server(redis: "Redis") -> OneServer:
    """Ravi blocks Eve."""
    made = OneServer(redis)
    made.rows[RAVI] = Row(ACCOUNT, 1, {EVE: 1})
    return made


@pytest.fixture
def clearing(server: OneServer) -> NumberClearing:
    return NumberClearing(server.link, server.people, Expiry(server.mailbox, server.people))


async def fill(server: OneServer) -> None:
    """Something under every key that Ravi has: two chats of Asha's, one delivered, one of Eve's, a receipt, a lease."""
    await server.mail.store(RAVI, ASHA, [("a1", "one"), ("a2", "two")])
    await server.mail.receipt(RAVI, ASHA, "read", ["r1"])
    await server.presence.claim(HOLDER, ACCOUNT)
    found = (await server.mail.fetch(HOLDER, "new", 1)).entries
    await server.mail.note_acknowledged(RAVI, ASHA, [found[0].stream_id], ["a1"])
    await server.presence.release(HOLDER, 0)
    await server.mail.store(RAVI, EVE, [("e1", "hidden")])
    mine = Person(RAVI)
    await server.link.command("SADD", mine.answered, ASHA, EVE)
    await server.link.command("HSET", mine.strangers, EVE, 1)
    await server.link.command("HSET", mine.dedupe_before, "x", "y")
    await server.link.command("ZADD", mine.login_places, 1, "x")
    await server.link.command("HSET", mine.leases, "old", "s0 c0 1 2")
    await server.link.command("SADD", Person(ASHA).answered, RAVI)
    await server.link.command("HSET", Person(ASHA).strangers, RAVI, 1)


async def keys_of(redis: "Redis", mobile: str) -> set[str]:
    return {name.decode() for name in await redis.keys(f"*{{{mobile}}}*")}


async def told(server: OneServer, mobile: str) -> list[tuple[str, list[str]]]:
    """The receipts of Ravi that wait for somebody."""
    return [(entry.ack_type, entry.message_ids) for entry in await server.entries(mobile)]  # type: ignore[union-attr]


def leave(server: OneServer) -> None:
    """As PostgreSQL has it afterwards."""
    del server.rows[RAVI]


async def test_senders_are_told_and_nothing_stays(server: OneServer, clearing: NumberClearing, redis: "Redis") -> None:
    await fill(server)
    mine = Person(RAVI)
    assert await keys_of(redis, RAVI) == {getattr(mine, name) for name in EVERYTHING}
    leave(server)
    assert await clearing.clear(RAVI, ACCOUNT, 0)
    assert await told(server, ASHA) == [("delivered", ["a1"]), ("expired", ["a2"])], "a1 was acknowledged"
    assert await told(server, EVE) == [("expired", ["e1"])]
    assert await keys_of(redis, RAVI) == {mine.left_by}
    assert not await redis.sismember(Person(ASHA).answered, RAVI)
    assert not await redis.hexists(Person(ASHA).strangers, RAVI)
    with pytest.raises(ApiError, match="no_such_person"):
        await server.mail.store(RAVI, ASHA, [("a3", "three")])


async def test_many_chats_go_in_parts_and_in_their_order(
    server: OneServer, clearing: NumberClearing, redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "BATCH_SIZE", 3)
    for n in range(10):
        await server.mail.store(RAVI, ASHA, [(f"a{n}", "x")])
        await server.mail.receipt(RAVI, ASHA, "read", [f"r{n}"])
    leave(server)
    assert await clearing.clear(RAVI, ACCOUNT, 0)
    assert [one for _, ids in await told(server, ASHA) for one in ids] == [f"a{n}" for n in range(10)]
    assert await keys_of(redis, RAVI) == {Person(RAVI).left_by}


async def test_a_server_that_read_the_person_before_does_not_bring_them_back(
    server: OneServer, clearing: NumberClearing, redis: "Redis"
) -> None:
    await fill(server)
    await clearing.leave(RAVI, ACCOUNT)
    with pytest.raises(ApiError, match="no_such_person"):  # it still sees the row
        await server.mail.store(RAVI, ASHA, [("a3", "three")])
    await server.people.replace_rules(RAVI, Row(ACCOUNT, 9, {EVE: 1}))
    assert not await redis.exists(Person(RAVI).user)
    with pytest.raises(ApiError, match="no_such_person"):
        await server.presence.claim(HOLDER, ACCOUNT)
    assert 365 * 86_400 < await redis.ttl(Person(RAVI).left_by) <= 366 * 86_400
    assert await clearing.clear(RAVI, ACCOUNT, 0)
    server.rows[RAVI] = Row(NEXT)
    await server.presence.claim(HOLDER, NEXT)
    assert (await server.mail.fetch(HOLDER, "new", 9)).entries == []


async def test_an_account_may_have_its_number_again(server: OneServer, clearing: NumberClearing) -> None:
    await clearing.leave(RAVI, ACCOUNT)
    await clearing.may_have(RAVI, NEXT)
    with pytest.raises(ApiError, match="no_such_person"):
        await server.people.load(RAVI)
    for _ in range(2):
        await clearing.may_have(RAVI, ACCOUNT)
        await server.people.load(RAVI)


async def test_it_waits_for_connections_which_may_still_speak_for_the_number(
    server: OneServer, clearing: NumberClearing, redis: "Redis"
) -> None:
    one = await HandConnection(server).begin()
    await one.hear("a1")
    leave(server)
    assert not await clearing.clear(RAVI, ACCOUNT, 0.1)
    assert await told(server, ASHA) == []
    clear = asyncio.create_task(clearing.clear(RAVI, ACCOUNT, 10))
    await asyncio.sleep(0.1)
    server.hub.close_sessions({one.connection.session_id})
    await one.over()
    assert await clear
    assert await told(server, ASHA) == [("expired", ["a1"])]
    assert await keys_of(redis, RAVI) == {Person(RAVI).left_by}


async def test_a_connection_that_lost_its_lease_meanwhile_ends(server: OneServer, clearing: NumberClearing) -> None:
    one = await HandConnection(server).begin()
    leave(server)
    await clearing.leave(RAVI, ACCOUNT)
    await server.link.command("DEL", Person(RAVI).leases)
    one.renew()
    await until(lambda: one.socket.closes)
    assert [close.code for close in one.socket.closes] == [4509]


async def test_a_late_run_does_nothing_to_the_next_owner(
    server: OneServer, clearing: NumberClearing, redis: "Redis"
) -> None:
    leave(server)
    assert await clearing.clear(RAVI, ACCOUNT, 0)
    server.rows[RAVI] = Row(NEXT)
    await server.mail.store(RAVI, ASHA, [("a1", "for the next owner")])
    before = {name: await redis.dump(name) for name in await redis.keys("*")}
    assert await clearing.clear(RAVI, ACCOUNT, 0)
    assert {name: await redis.dump(name) for name in await redis.keys("*")} == before


class CutOff:
    """Cancels the running task at its n-th command."""

    def __init__(self, server: OneServer) -> None:
        self._send = server.link._send
        self._left = 0
        self._task: asyncio.Task[Any] | None = None
        server.link._send = self._counted  # type: ignore[method-assign]

    def _counted(self, *words: Any, **more: Any) -> None:
        self._left -= 1
        if self._left == 0 and self._task is not None:
            self._task.cancel()
        self._send(*words, **more)

    async def after(self, commands: int, clearing: NumberClearing) -> bool:
        """Whether it came to its end before."""
        self._left, self._task = commands, asyncio.create_task(clearing.clear(RAVI, ACCOUNT, 0))
        await asyncio.wait({self._task})
        done, self._task = not self._task.cancelled(), None
        return done


async def test_cut_off_between_any_two_steps_the_next_run_goes_on(
    server: OneServer, clearing: NumberClearing, redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "BATCH_SIZE", 1)
    cut, commands, whole = CutOff(server), 0, server.rows[RAVI]
    while True:
        commands += 1
        await redis.flushall()
        server.rows[RAVI] = whole
        await fill(server)
        leave(server)
        if await cut.after(commands, clearing):
            break
        assert await clearing.clear(RAVI, ACCOUNT, 0)
        receipts = await told(server, ASHA) + await told(server, EVE)
        assert {(kind, *ids) for kind, ids in receipts} == {("delivered", "a1"), ("expired", "a2"), ("expired", "e1")}
        assert await keys_of(redis, RAVI) == {Person(RAVI).left_by}
    assert commands > 10


async def test_people_whom_redis_holds_are_loaded_again(
    server: OneServer, clearing: NumberClearing, redis: "Redis"
) -> None:
    await server.people.load(RAVI)
    server.rows[RAVI] = Row(ACCOUNT, 2)
    await clearing.reload([RAVI, ASHA, "919800009999"])
    assert not await redis.exists(Person(RAVI).blocks)
    assert not await redis.exists(Person(ASHA).user)
