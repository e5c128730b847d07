"""Block sets that Redis missed are mended, at a cost that follows what was changed, in pages, from where it stopped."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.blocks import Blocks
from delivery import keys
from models import User
from protocol.errors import ApiError
from tests.delivery.person_scripts import ASHA, Scripts
from tests.workers.support import Modules, enrol

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


async def missed(blocker: str, blocked: str) -> None:
    """A change that Redis was not told of."""

    async def ends(*_: object) -> None:
        raise ApiError("unavailable")

    with pytest.raises(ApiError, match="unavailable"):
        await Blocks(ends, 100).block(blocker, blocked)


async def loaded(person: Scripts, count: int, version: int = 0) -> list[Scripts]:
    """UserRecords whom Redis knows."""
    made = []
    for n in range(count):
        other = Scripts(person.redis, f"93000{n:05}")
        user = await enrol(other.keys.mobile, version=version)
        await other.load(str(user.id))
        made.append(other)
    return made


async def behind(people: Sequence[Scripts]) -> list[str]:
    return [each.keys.mobile for each in people if not await each.redis.exists(each.keys.blocks)]


async def test_what_was_changed_is_mended_by_the_next_sweep_in_pages(
    ctx: dict[str, Any], person: Scripts, modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules.repair_blocks, "PAGE", 2)
    await enrol(ASHA)
    people = await loaded(person, 7)
    for each in people[:5]:
        await missed(each.keys.mobile, ASHA)
    assert await modules.repair_blocks.repair_changed(ctx["services"], modules.jobs.Budget(60)) == 5
    assert await behind(people) == [each.keys.mobile for each in people[5:]]
    assert await modules.repair_blocks.repair_changed(ctx["services"], modules.jobs.Budget(60)) == 0


async def test_a_look_costs_what_was_changed_and_not_what_there_is(
    ctx: dict[str, Any], person: Scripts, modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    await User.bulk_create(
        [
            User(id=uuid.uuid4(), mobile_no=f"94{n:08}", name="x", password_hash="-", blocks_version=3)
            for n in range(500)
        ]
    )
    await User.all().update(blocks_changed_at=LONG_AGO)
    looked: list[int] = []
    compare = modules.repair_blocks._compare

    async def counted(services: Any, rows: Sequence[Any]) -> int:
        looked.append(len(rows))
        return int(await compare(services, rows))

    monkeypatch.setattr(modules.repair_blocks, "_compare", counted)
    budget = modules.jobs.Budget(60)
    await modules.repair_blocks.repair_changed(ctx["services"], budget)
    assert sum(looked) == 501  # the one of the fixture is loaded, too
    looked.clear()
    await enrol(ASHA)
    (person,) = await loaded(person, 1)
    await missed(person.keys.mobile, ASHA)
    await modules.repair_blocks.repair_changed(ctx["services"], budget)
    assert sum(looked) == 1


async def test_a_redis_that_lost_its_last_seconds_has_the_changes_compared_again(
    ctx: dict[str, Any], person: Scripts, modules: Modules
) -> None:
    await enrol(ASHA)
    (person,) = await loaded(person, 1)
    place = keys.job_cursor("blocks changed")
    before = await person.redis.get(place)
    await missed(person.keys.mobile, ASHA)
    await User.all().update(blocks_changed_at=LONG_AGO)
    await modules.repair_blocks.repair_changed(ctx["services"], modules.jobs.Budget(60))
    assert await behind([person]) == []
    await person.redis.delete(person.keys.blocks, place)
    await person.redis.hset(person.keys.user, "blocks", 0)
    if before:
        await person.redis.set(place, before)
    await modules.repair_blocks.repair_changed(ctx["services"], modules.jobs.Budget(60))
    assert await behind([person]) == []


async def test_the_walk_over_all_finds_what_an_older_server_changed_and_is_resumed(
    ctx: dict[str, Any], person: Scripts, modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules.repair_blocks, "WALK_PAGE", 3)
    monkeypatch.setattr(modules.repair_blocks, "Budget", Spent)
    await enrol(ASHA)
    people = await loaded(person, 10)
    for each in people:
        await missed(each.keys.mobile, ASHA)
    await User.all().update(blocks_changed_at=None)
    runs = [await modules.repair_blocks.repair_blocks(ctx) for _ in range(8)]
    assert sum(runs) == 10
    assert max(runs) <= 3
    assert runs[-1] == 0
    assert await behind(people) == []
    # Through: for an hour nobody is compared.
    await people[0].redis.hset(people[0].keys.user, "blocks", 0)
    assert await modules.repair_blocks.repair_blocks(ctx) == 0
    await person.redis.delete(keys.job_cursor("blocks"))
    await asyncio.sleep(0)
    assert sum([await modules.repair_blocks.repair_blocks(ctx) for _ in range(8)]) == 1


class Spent:
    """Time for one step."""

    def __init__(self, _interval: float) -> None:
        self._asked = 0

    @property
    def over(self) -> bool:
        self._asked += 1
        return self._asked > 1
