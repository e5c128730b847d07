"""Every job with a distant Redis, and cancelled at any step: it is done in time, or the next run continues."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from delivery import keys
from delivery.keys import Person
from delivery.scripts import LOAD
from tests.delivery.person_scripts import ASHA, Scripts
from tests.support.links import link_to
from tests.workers.support import CutOff, Job, Modules, enrol
from tools.chaos.proxy import Mode, Proxy

PEOPLE: Final = 3_000
ROUND_TRIP: Final = 0.005
JOB_SECONDS: Final = 20
"""After this arq cancels a job."""


@pytest.fixture
def proxy(valkey_url: str) -> Iterator[Proxy]:
    made = Proxy(("127.0.0.1", 0), Path(valkey_url.removeprefix("unix://").partition("?")[0]))
    made.start()
    yield made
    made.stop()


class Town:
    """Many people in Redis, put there without the delay."""

    def __init__(self, redis: "Redis", count: int) -> None:
        self.redis = redis
        self.people = [Person(f"93{n:08}") for n in range(count)]

    async def load(self) -> None:
        link = link_to(self.redis)
        for some in _by(1000, self.people):
            args = ["epoch", 0, "", "", 0]
            await asyncio.gather(*[link.call(LOAD, each.of(LOAD), [each.mobile, *args]) for each in some])

    async def connect(self, server: str, people: list[Person], *, alive: bool) -> None:
        """They hold a lease there."""
        now = int(time.time() * 1000)
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.zadd(keys.SERVERS, {server: 1})
            if alive:
                pipe.set(keys.server(server), "{}")
            for each in people:
                pipe.sadd(keys.people(server), each.mobile)
                pipe.hset(each.leases, "primary", f"{server} c-{each.mobile} {now} {now + 60_000}")
            await pipe.execute()

    async def write(self, people: list[Person]) -> None:
        """A chat from Asha waits for each."""
        for some in _by(500, people):
            posts = [Scripts(self.redis, each.mobile) for each in some]
            await asyncio.gather(*[each.store_chat("m1") for each in posts])
            for each in posts:
                await each.link.close()

    async def online(self) -> int:
        async with self.redis.pipeline(transaction=False) as pipe:
            for each in self.people:
                pipe.exists(each.leases)
            return sum(await pipe.execute())

    async def waiting(self) -> int:
        """Chats, and those that expired and whose sender was not told yet."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for each in self.people:
                pipe.xlen(each.mailbox)
                pipe.xlen(each.shadows)
            return sum(await pipe.execute())


def _by(size: int, people: list[Person]) -> Iterator[list[Person]]:
    for start in range(0, len(people), size):
        yield people[start : start + size]


@pytest.fixture
def env(env: dict[str, str], proxy: Proxy) -> dict[str, str]:
    """The jobs reach Redis through the proxy."""
    host, port = proxy.front
    return {**env, "REDIS_URL": f"redis://{host}:{port}"}


def later(monkeypatch: pytest.MonkeyPatch, ctx: dict[str, Any]) -> None:
    """All that waits by now has waited for too long."""
    moment = time.time() + ctx["services"].settings.mailbox_days * 86_400 + 1
    monkeypatch.setattr(time, "time", lambda: moment)


async def timed(job: Job, ctx: dict[str, Any]) -> tuple[float, int]:
    """How long it took, and what it returned.

    :raises TimeoutError: arq would have cut it off
    """
    started = time.monotonic()
    async with asyncio.timeout(JOB_SECONDS):
        done = await job(ctx)
    took = time.monotonic() - started
    print(f"{job.__name__}: {took:.2f} s, {done}")
    return took, done


@pytest.mark.timeout(300)
async def test_every_job_makes_progress_with_a_distant_redis(
    ctx: dict[str, Any], redis: "Redis", proxy: Proxy, modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town(redis, PEOPLE)
    await enrol(ASHA)
    await town.load()
    half = PEOPLE // 2
    await town.connect("gone", town.people[:half], alive=False)
    await town.connect("here", town.people[half:], alive=True)
    await town.write(town.people[:300])
    proxy.set(Mode.DELAY, seconds=ROUND_TRIP)

    for _ in range(3):
        await timed(modules.sweep_presence.sweep_presence, ctx)
        if not await redis.exists(keys.people("gone")):
            break
    assert await town.online() == half
    assert await redis.zrange(keys.SERVERS, 0, -1) == [b"here"]

    # Nobody is stuck but those to whom somebody wrote: they have no group, so nobody is notified.
    for _ in range(3):
        await timed(modules.reclaim_mailboxes.reclaim_mailboxes, ctx)
        if not await redis.exists(keys.job_cursor("reclaim")):
            break
    assert not await redis.exists(keys.job_cursor("reclaim"))

    await timed(modules.repair_blocks.repair_blocks, ctx)
    await timed(modules.prune_history.prune_history, ctx)

    later(monkeypatch, ctx)
    runs, expired = 0, 0
    while (runs == 0 or await redis.get(keys.EXPIRY_CURSOR) != b"0") and runs < 10:
        before = await redis.get(keys.EXPIRY_CURSOR)
        expired += (await timed(modules.expire_mailboxes.expire_mailboxes, ctx))[1]
        assert await redis.get(keys.EXPIRY_CURSOR) != before, "a run that saves no place would begin again for ever"
        runs += 1
    # And some receipts of these, which are as old as their chats by this clock.
    assert expired >= 300
    assert await town.waiting() == 0


async def test_a_cap_that_is_cut_off_at_any_step_goes_on_from_there(
    ctx: dict[str, Any], redis: "Redis", modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town(redis, 600)
    await enrol(ASHA)
    await town.load()
    await town.write(town.people)
    later(monkeypatch, ctx)
    monkeypatch.setattr(modules.expire_mailboxes, "SCANNED", 100)
    told, mailbox = set(), ctx["services"].mailbox
    store = mailbox.store_receipt

    def noted(sender: str, mobile: str, kind: str, ids: list[str], at: list[str], then: Callable[[Any], None]) -> None:
        def stored(result: Any) -> None:
            told.add(mobile)
            then(result)

        store(sender, mobile, kind, ids, at, stored)

    monkeypatch.setattr(mailbox, "store_receipt", noted)
    cut, chance, runs = CutOff(ctx), random.Random(5), 0  # noqa: S311 - not a secret
    while await town.waiting() and runs < 100:
        runs += 1
        await cut.after(chance.randint(1, 2_500), modules.expire_mailboxes.expire_mailboxes, ctx)
    print(f"{runs} runs")
    assert await town.waiting() == 0
    assert told == {each.mobile for each in town.people}


@pytest.mark.parametrize("commands", [1, 3, 150, 500])
async def test_a_sweep_that_is_always_cut_off_comes_to_its_end(
    ctx: dict[str, Any], redis: "Redis", modules: Modules, commands: int
) -> None:
    town = Town(redis, 1_200)
    await town.connect("gone", town.people, alive=False)
    await town.connect("here", town.people[:2], alive=True)
    cut = CutOff(ctx)
    for extra in itertools.count():
        # A run in which not even one step can be done changes nothing; so each gets a little longer.
        if await cut.after(commands + extra % 300, modules.sweep_presence.sweep_presence, ctx) or extra > 400:
            break
    await modules.sweep_presence.sweep_presence(ctx)
    assert await town.online() == 2
    assert await redis.zrange(keys.SERVERS, 0, -1) == [b"here"]


async def test_a_walk_through_all_who_are_connected_goes_on_where_the_last_run_stopped(
    ctx: dict[str, Any], redis: "Redis", modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town(redis, 1_800)  # more than 512 of each: a smaller set is told as a whole
    for number, server in enumerate(("a", "b", "b0")):
        await town.connect(server, town.people[number * 600 : (number + 1) * 600], alive=True)
    monkeypatch.setattr(modules.reclaim_mailboxes, "Budget", OneStep)
    seen: list[str] = []

    async def look(_services: Any, mobile: str) -> int:
        seen.append(mobile)
        return 0

    monkeypatch.setattr(modules.reclaim_mailboxes, "_notify_if_stuck", look)
    await modules.reclaim_mailboxes.reclaim_mailboxes(ctx)
    assert 0 < len(seen) < 600
    runs = 1
    while await redis.exists(keys.job_cursor("reclaim")) and runs < 100:
        await modules.reclaim_mailboxes.reclaim_mailboxes(ctx)
        runs += 1
    assert set(seen) == {each.mobile for each in town.people}
    assert len(seen) < 1_900  # hardly anybody twice


class OneStep:
    """The time is over after each step."""

    over = True

    def __init__(self, _interval: float) -> None:
        return


@pytest.mark.parametrize("broken", ["mailbox", "leases", "entry_states", "user", "shadows", "dedupe"])
async def test_a_broken_key_of_one_person_costs_nobody_else(
    ctx: dict[str, Any], redis: "Redis", modules: Modules, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    town = Town(redis, 20)
    await enrol(ASHA)
    await town.load()
    await town.write(town.people)
    await town.connect("gone", town.people, alive=False)
    await redis.set(getattr(town.people[7], broken), "oops")
    others = [each for each in town.people if each is not town.people[7]]
    await modules.sweep_presence.sweep_presence(ctx)
    await modules.reclaim_mailboxes.reclaim_mailboxes(ctx)
    later(monkeypatch, ctx)
    await modules.expire_mailboxes.expire_mailboxes(ctx)
    assert await redis.get(keys.EXPIRY_CURSOR) == b"0"
    for each in others:
        assert not await redis.exists(each.leases)
        assert not await redis.exists(each.mailbox)


async def test_a_broken_list_of_a_server_costs_no_other(ctx: dict[str, Any], redis: "Redis", modules: Modules) -> None:
    town = Town(redis, 10)
    await town.connect("b", town.people, alive=False)
    await redis.zadd(keys.SERVERS, {"a": 1})
    await redis.set(keys.people("a"), "oops")
    assert await modules.sweep_presence.sweep_presence(ctx) == 10
    assert await redis.zrange(keys.SERVERS, 0, -1) == []
