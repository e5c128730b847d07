"""What a request could not finish: the job does it, cut off wherever, with Redis and PostgreSQL away in between."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from accounts.blocks import Blocks
from accounts.departures import Departures
from accounts.session_store import session_key
from delivery.keys import EVERYTHING, Person
from delivery.redis.client import RedisClient
from models import Departure, Session, User
from protocol.errors import ApiError
from tests.delivery.person_scripts import ASHA, MOBILE, Scripts
from tests.support.messaging import make_settings
from tests.workers.support import CutOff, Modules, account, connected, enrol

SESSION = "0f8fad5b-d9cb-469f-a165-70867728950e"


class Nowhere:
    """A request whose server ends behind its transaction."""

    async def leave(self, *_: Any) -> int:
        raise ApiError("unavailable")

    clear = reload = end = leave


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[RedisClient]:
    """A link to where nobody listens; it gives up soon."""
    link = RedisClient(make_settings(redis_url=f"unix://{tmp_path / 'none.sock'}", redis_connect_seconds=0.2))
    yield link
    await link.close()


@pytest.fixture
async def left(ctx: dict[str, Any], person: Scripts) -> None:
    """A person to whom Asha wrote, whom she blocks, and who has a session; their account is gone, and Redis has all."""
    asha = await enrol(ASHA)
    user = await User.get(mobile_no=MOBILE)
    await Session.create(id=SESSION, user=user, device_id="primary", expires_at=datetime.now(UTC) + timedelta(hours=1))
    await person.redis.set(session_key(SESSION), "1")
    await Scripts(person.redis, ASHA).load(str(asha.id))
    await Blocks(ctx["services"].users.replace_rules, 10).block(ASHA, MOBILE)
    await person.store_chat("m1")
    nowhere = Nowhere()
    await Departures(nowhere, nowhere.end).delete(str(user.id), MOBILE)  # type: ignore[arg-type]
    assert await person.redis.exists(person.keys.user)


async def _is_free(redis: "Redis") -> None:
    mine, asha = Person(MOBILE), Person(ASHA)
    assert not await redis.exists(*[getattr(mine, name) for name in EVERYTHING])
    assert not await redis.sismember(asha.blocks, MOBILE), "the next owner is in nobody's block set"
    assert await redis.get(session_key(SESSION)) == b"0"
    assert {fields[b"a"] for _, fields in await redis.xrange(asha.mailbox)} == {b"expired"}
    assert await Departure.all().count() == 0


async def test_a_number_whose_request_was_cut_off_becomes_free(
    ctx: dict[str, Any], left: None, person: Scripts, modules: Modules
) -> None:
    assert await modules.finish_departures.finish_departures(ctx) == 1
    await _is_free(person.redis)
    assert await modules.finish_departures.finish_departures(ctx) == 0


async def test_a_run_that_is_cut_off_at_any_command_is_made_good_by_the_next(
    ctx: dict[str, Any], left: None, person: Scripts, modules: Modules
) -> None:
    cut, commands, job = CutOff(ctx), 0, modules.finish_departures.finish_departures
    # Cut off one command later each time: every step is once the last one that was done.
    while not await cut.after(commands := commands + 1, job, ctx):
        if await Departure.all().count():
            assert commands < 100
        else:
            break
    assert commands > 8
    await _is_free(person.redis)


async def test_while_a_connection_lives_the_number_is_kept(
    ctx: dict[str, Any], person: Scripts, modules: Modules
) -> None:
    user = await User.get(mobile_no=MOBILE)
    await connected(person)
    assert await account(person) == str(user.id)
    nowhere = Nowhere()
    await Departures(nowhere, nowhere.end).delete(str(user.id), MOBILE)  # type: ignore[arg-type]
    assert await modules.finish_departures.finish_departures(ctx) == 0
    assert await person.redis.exists(person.keys.leases)
    assert await person.release() == ["ok"]
    assert await modules.finish_departures.finish_departures(ctx) == 1


async def test_without_redis_the_row_stays(
    ctx: dict[str, Any], left: None, modules: Modules, monkeypatch: pytest.MonkeyPatch, away: RedisClient
) -> None:
    clearing = ctx["services"].departures.clearing
    monkeypatch.setattr(clearing, "_redis", away)
    with pytest.raises(ApiError, match="unavailable"):
        await modules.finish_departures.finish_departures(ctx)
    assert await Departure.all().count() == 1
