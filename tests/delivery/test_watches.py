"""Watching: what is shown at once, what is pushed, what it costs, and that everything goes with a connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis

from delivery import watches as module
from delivery.policy import View
from delivery.presence import Holder
from delivery.redis import connection as connection_module
from delivery.redis.client import RedisClient
from delivery.scripts import SWEEP
from delivery.watches import Watches
from protocol.errors import ApiError
from tests.support.links import link_to
from tests.support.messaging import ASHA, EVE, RAVI, OneServer, Row, until
from tools.devstack.valkey import Valkey

HOLDER = Holder(RAVI, "primary", "s1", "c1")
NOBODY = "9999999999"
ONLINE, GONE = View(online=True), View()


class Watching:
    """A connection: what it is shown of each number, in order."""

    def __init__(self, mobile: str = ASHA) -> None:
        self.mobile = mobile
        self.reads = True
        self.messages: list[list[tuple[str, View]]] = []

    def show_presence(self, views: Sequence[tuple[str, View]]) -> bool:
        if self.reads:
            self.messages.append([*views])
        return self.reads

    def shown(self, mobile: str = RAVI) -> list[View]:
        return [view for message in self.messages for number, view in message if number == mobile]


@pytest.fixture
async def server(redis: "Redis") -> AsyncIterator[OneServer]:
    server = OneServer(redis, lease_seconds=60)
    for mobile in (RAVI, ASHA, EVE):
        await server.people.load(mobile)
    yield server
    await server.watches.stop()


async def comes(server: OneServer, holder: Holder = HOLDER) -> None:
    await server.presence.claim(holder, server.rows[holder.mobile].account_id, mode="proven")


def is_empty(watches: Watches) -> bool:
    parts = (watches._watchers, watches._askers, watches._watched, watches._unshown, watches._tasks)
    return not any(parts) and not len(watches._due)


async def seen(redis: "Redis") -> View:
    return View(last_seen=int(await redis.get(f"lastseen:{{{RAVI}}}")))


async def test_all_is_shown_at_once_and_then_what_changes(server: OneServer, redis: "Redis") -> None:
    one, two = Watching(), Watching(EVE)
    assert await server.watches.watch(one, [RAVI, EVE]) == [(RAVI, GONE), (EVE, GONE)]
    await comes(server)
    assert await server.watches.watch(two, [RAVI]) == [(RAVI, ONLINE)]
    for _ in range(2):
        server.watches.changed(RAVI)
        await until(lambda: one.messages)
    await server.presence.release(HOLDER, 0)
    server.watches.changed(RAVI)
    await until(lambda: two.messages)
    assert one.messages == [[(RAVI, ONLINE)], [(RAVI, await seen(redis))]]
    assert two.messages == [[(RAVI, await seen(redis))]]


async def test_the_servers_of_watchers_are_told_once_and_no_others(server: OneServer, redis: "Redis") -> None:
    listener = redis.pubsub(ignore_subscribe_messages=True)
    await listener.psubscribe("notify:*")
    await listener.get_message(timeout=1)
    other = OneServer(redis, "s2")
    for connection in (Watching(), Watching(EVE)):
        await server.watches.watch(connection, [RAVI])
    await other.watches.watch(Watching(), [RAVI, EVE])
    tablet = Holder(RAVI, "tablet", "s3", "c2")
    row = server.rows[RAVI]

    async def block() -> None:
        row.blocked, row.blocks_version = {EVE: 1}, row.blocks_version + 1
        await server.people.replace_rules(RAVI, row)

    async def hide() -> None:
        row.privacy, row.blocks_version = "en11", row.blocks_version + 1
        await server.people.replace_rules(RAVI, row)

    told: dict[str, int] = {}
    steps = {
        "the first device comes": comes(server),
        "a second comes": comes(server, tablet),
        "it renews": server.presence.renew(tablet, 0),
        "one goes": server.presence.release(HOLDER, 0),
        "the last goes": server.presence.release(tablet, 0),
        "somebody is blocked": block(),
        "it is loaded again": server.people.load(RAVI),
        "something is hidden": hide(),
    }
    for name, step in steps.items():
        await step
        heard = []
        while (message := await listener.get_message(timeout=0.1)) is not None:
            if message["data"].startswith(b"presence"):
                heard.append((message["channel"], message["data"]))
        assert set(heard) <= {(b"notify:s1", b"presence 9100000001"), (b"notify:s2", b"presence 9100000001")}
        assert len(heard) == len(set(heard))
        told[name] = len(heard)
    assert told == dict.fromkeys(steps, 2) | {"a second comes": 0, "it renews": 0, "one goes": 0} | {
        "it is loaded again": 0
    }
    await listener.aclose()
    await other.watches.stop()


async def test_a_lease_that_is_swept_or_carried_on_after_its_end_is_told(server: OneServer, redis: "Redis") -> None:
    listener = redis.pubsub(ignore_subscribe_messages=True)
    await listener.subscribe("notify:s1")
    await listener.get_message(timeout=1)
    await comes(server)
    await server.watches.watch(Watching(), [RAVI])
    value = (await redis.hget(f"leases:{{{RAVI}}}", "primary")).decode().split()  # type: ignore[misc]
    over = " ".join([*value[:3], "5"])
    await redis.hset(f"leases:{{{RAVI}}}", "primary", over)  # type: ignore[misc]
    assert (await server.presence.renew(HOLDER, 0)).verdict == "ok"
    assert (await listener.get_message(timeout=1))["data"] == b"presence 9100000001"
    keys = server.people.keys(RAVI)
    assert len(await server.link.call(SWEEP, keys.of(SWEEP), [60_000, "s1"])) == 1
    assert (await listener.get_message(timeout=1))["data"] == b"presence 9100000001"
    await listener.aclose()


async def test_two_hundred_leave_in_one_write_and_cost_one_script_each(
    server: OneServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [str(9_400_000_000 + n) for n in range(200)]
    for number in numbers:
        server.rows[number] = Row(f"account of {number}")
        await server.people.load(number)
    await server.watches.watch(Watching(), [RAVI])  # Redis knows the scripts by now
    writes: list[int] = []
    real = connection_module.write_now

    def counted(transport: asyncio.Transport, fd: int, data: bytes) -> None:
        writes.append(data.count(b"EVALSHA"))
        real(transport, fd, data)

    monkeypatch.setattr(connection_module, "write_now", counted)
    views = await server.watches.watch(Watching(), numbers)
    assert [number for number, _ in views] == numbers
    assert writes == [201], "one for each, and one for the asker"


async def test_a_number_that_nobody_has_is_shown_as_soon_as_somebody_comes_with_it(server: OneServer) -> None:
    one = Watching()
    assert await server.watches.watch(one, [NOBODY]) == [(NOBODY, GONE)]
    assert server.asked.count(NOBODY) == 1
    server.watches.changed(NOBODY)
    await asyncio.sleep(0.05)
    assert server.asked.count(NOBODY) == 1, "PostgreSQL is not asked again and again"
    server.rows[NOBODY] = Row("account of somebody new")
    await comes(server, Holder(NOBODY, "primary", "s1", "c1"))
    server.watches.changed(NOBODY)
    await until(lambda: one.shown(NOBODY) == [ONLINE])


async def test_blocks_and_privacy_take_effect_on_those_who_watch(server: OneServer, redis: "Redis") -> None:
    one, two, row = Watching(), Watching(EVE), server.rows[RAVI]
    await comes(server)
    for each in (one, two):
        assert await server.watches.watch(each, [RAVI]) == [(RAVI, ONLINE)]
    row.blocked, row.blocks_version = {ASHA: int(time.time() * 1000)}, 1
    await server.people.replace_rules(RAVI, row)
    server.watches.changed(RAVI)
    await until(lambda: one.messages)
    frozen = View(last_seen=int(await redis.hget(f"blockedAt:{{{RAVI}}}", ASHA)))  # type: ignore[misc]
    assert (one.shown(), two.shown()) == ([frozen], [])
    row.privacy, row.blocks_version = "nn11", 2
    await server.people.replace_rules(RAVI, row)
    server.watches.changed(RAVI)
    await until(lambda: two.messages)
    assert (one.shown(), two.shown()) == ([frozen, GONE], [GONE])


async def test_who_hides_something_does_not_see_it_any_more(server: OneServer) -> None:
    one, other = Watching(), Watching(EVE)
    await comes(server)
    for each in (one, other):
        await server.watches.watch(each, [RAVI])
    server.watches.change_privacy(ASHA, "en11")
    server.watches.change_privacy(NOBODY, "en11")
    await until(lambda: one.messages)
    assert one.shown() == [GONE]
    server.watches.change_privacy(ASHA, "")
    await until(lambda: len(one.messages) == 2)
    assert (one.shown(), other.shown()) == ([GONE, ONLINE], [])


async def test_several_changes_of_one_moment_are_one_message(server: OneServer) -> None:
    one = Watching()
    await server.watches.watch(one, [RAVI, EVE])
    for mobile in (RAVI, EVE):
        await comes(server, Holder(mobile, "primary", "s1", "c1"))
    for mobile in (RAVI, EVE):
        server.watches.changed(mobile)
    await until(lambda: one.messages)
    assert one.messages == [[(RAVI, ONLINE), (EVE, ONLINE)]]


async def test_a_person_is_read_for_all_their_askers_together(
    server: OneServer, redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ASKERS", 3)
    askers = [Watching(str(9_400_000_000 + n)) for n in range(7)]
    for each in askers:
        server.rows[each.mobile] = Row(f"account of {each.mobile}")
        await server.watches.watch(each, [RAVI])
    await comes(server)
    await redis.config_resetstat()
    for _ in range(10):
        server.watches.changed(RAVI)
    await until(lambda: all(each.messages for each in askers))
    await asyncio.sleep(0.05)
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == 6, "twice, three askers at a time"
    assert [each.shown() for each in askers] == [[ONLINE]] * 7


# ---- limits


async def test_only_so_many_are_watched_on_a_connection(redis: "Redis") -> None:
    server = OneServer(redis, watch_limit=2)
    one = Watching()
    await server.watches.watch(one, [RAVI, EVE])
    for _ in range(2):
        with pytest.raises(ApiError, match="too_many_watched"):
            await server.watches.watch(one, [EVE, NOBODY])
    assert await server.watches.watch(one, [EVE, RAVI]) == [(EVE, GONE), (RAVI, GONE)]
    server.watches.unwatch(one, [EVE, NOBODY])
    assert await server.watches.watch(one, [NOBODY]) == [(NOBODY, GONE)]
    assert len(await server.watches.watch(Watching(), [RAVI, EVE])) == 2


async def test_numbers_that_are_no_contacts_cost_lookups_all_at_once(redis: "Redis") -> None:
    server = OneServer(redis, rate_limits="on", lookups_burst=3)
    await redis.sadd(f"answered:{{{ASHA}}}", RAVI)  # type: ignore[misc]
    one = Watching()
    await server.watches.watch(one, [RAVI, EVE])
    with pytest.raises(ApiError, match="rate_limited"):
        await server.watches.watch(one, [RAVI, *(str(9_400_000_000 + n) for n in range(3))])
    assert len(server.watches) == 2
    assert len(await server.watches.watch(one, [RAVI, EVE, NOBODY, "9400000009"])) == 4, "these are enough for two"
    with pytest.raises(ApiError, match="rate_limited"):
        await server.watches.watch(one, [str(9_400_000_000)])


# ---- the end


async def test_everything_of_a_connection_goes_with_it(server: OneServer) -> None:
    one, two, three = Watching(), Watching(), Watching(EVE)
    for each in (one, two, three):
        await server.watches.watch(each, [RAVI, EVE, NOBODY])
    server.watches.unwatch(one, [RAVI, EVE])
    for each in (one, two, three):
        assert not is_empty(server.watches)
        server.watches.leave(each)
        server.watches.leave(each)
    assert is_empty(server.watches)
    await comes(server)
    server.watches.changed(RAVI)
    await asyncio.sleep(0.05)
    assert (one.messages, two.messages, three.messages) == ([], [], [])


async def test_a_connection_that_leaves_in_the_middle_leaves_nothing(server: OneServer) -> None:
    one = Watching()
    under_way = [asyncio.create_task(server.watches.watch(one, [RAVI, NOBODY])) for _ in range(2)]
    await asyncio.sleep(0)
    server.watches.leave(one)
    assert await asyncio.gather(*under_way) == [[], []]
    assert is_empty(server.watches)


async def test_who_is_unwatched_before_the_first_answer_is_not_shown(server: OneServer) -> None:
    one = Watching()
    under_way = asyncio.create_task(server.watches.watch(one, [RAVI, EVE]))
    await asyncio.sleep(0)
    server.watches.unwatch(one, [RAVI])
    assert await under_way == [(EVE, GONE)]


# ---- lost notifications, Redis away, clients that do not read


async def test_what_was_not_told_is_found_within_a_ping(redis: "Redis") -> None:
    server = OneServer(redis, ping_seconds=2, lease_seconds=5)
    server.watches.start()
    one = Watching()
    await server.watches.watch(one, [RAVI, EVE])
    await comes(server)
    await until(lambda: one.shown() == [ONLINE], 4)
    await redis.sadd(f"answered:{{{ASHA}}}", RAVI)  # type: ignore[misc]
    server.rows[ASHA].privacy, server.rows[ASHA].blocks_version = "ec11", 1
    await server.people.replace_rules(ASHA, server.rows[ASHA])
    await comes(server, Holder(EVE, "primary", "s1", "c1"))
    await asyncio.sleep(2.5)
    # Nobody told this server of Asha's privacy: until it looks, which may be after Eve has come, it shows her.
    assert one.shown(EVE)[-1:] in ([], [View(online=False)]), "Asha shows herself to Ravi alone"
    await server.watches.stop()


async def test_after_a_resubscription_everything_is_read_at_once(redis: "Redis") -> None:
    server = OneServer(redis)
    server.watches.start()
    one = Watching()
    await server.watches.watch(one, [RAVI])
    await comes(server)
    server.watches.read_all()
    await until(lambda: one.shown() == [ONLINE], 2)
    await server.watches.stop()


async def test_nobody_is_shown_online_after_the_lease_that_was_seen(own_valkey: Valkey) -> None:
    link = RedisClient(OneServer(link_to(Redis.from_url(own_valkey.url))).settings)
    server = OneServer(link, ping_seconds=1, lease_seconds=2)
    link = server.link = RedisClient(server.settings.model_copy(update={"redis_url": own_valkey.url}))
    server.people._redis = server.presence._redis = server.watches._redis = link
    server.watches.start()
    one = Watching()
    await comes(server)
    assert await server.watches.watch(one, [RAVI]) == [(RAVI, ONLINE)]
    watched = server.watches._watched[RAVI]
    sign, ends = watched.last_sign, watched.ends
    own_valkey.kill()
    await until(lambda: one.messages, 10)
    assert time.monotonic() >= ends
    assert one.shown() == [View(last_seen=sign)], "the last sign of life that is known of"
    await server.watches.stop()
    await link.close()


async def test_a_client_that_does_not_read_gets_the_latest_when_it_does(server: OneServer) -> None:
    one = Watching()
    await server.watches.watch(one, [RAVI])
    one.reads = False
    await comes(server)
    server.watches.changed(RAVI)
    await asyncio.sleep(0.05)
    one.reads = True
    server.watches.changed(RAVI)
    await until(lambda: one.messages)
    assert one.messages == [[(RAVI, ONLINE)]]


async def test_when_redis_lost_everything_people_are_loaded_and_watched_again(
    server: OneServer, redis: "Redis"
) -> None:
    one = Watching()
    await comes(server)
    await server.watches.watch(one, [RAVI])
    await redis.flushall()
    server.watches.changed(RAVI)
    await until(lambda: one.messages)
    assert one.shown() == [GONE]
    assert await redis.zscore(f"watchers:{{{RAVI}}}", "s1") is not None
    assert await redis.pttl(f"watchers:{{{RAVI}}}") > 0


async def test_a_registration_is_written_anew_in_the_second_half_of_its_life(server: OneServer, redis: "Redis") -> None:
    key = f"watchers:{{{RAVI}}}"
    await server.watches.watch(Watching(), [RAVI])
    first = await redis.zscore(key, "s1")
    await redis.zadd(key, {"s9": 5})
    await server.watches.watch(Watching(EVE), [RAVI])
    assert await redis.zscore(key, "s1") == first
    assert first is not None
    life = server.settings.ping_seconds * 1000 * module.REGISTERED_PINGS
    await redis.zadd(key, {"s1": first - 0.6 * life})
    await server.watches.watch(Watching(), [RAVI])
    assert abs((await redis.zscore(key, "s1") or 0) - first) < 5_000
    assert await redis.zscore(key, "s9") is None, "one that is over goes"
