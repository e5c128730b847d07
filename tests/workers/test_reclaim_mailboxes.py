"""Reclaiming: connections of people whose entries nobody fetches are notified, without the id of an entry."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio.client import PubSub
from structlog.testing import capture_logs

from delivery import keys
from tests.delivery.person_scripts import MOBILE, Scripts
from tests.workers.support import at_once, connected


async def reclaim(ctx: dict[str, Any]) -> int:
    from workers.reclaim_mailboxes import reclaim_mailboxes  # noqa: PLC0415 - the package needs the environment

    return await reclaim_mailboxes(ctx)


@pytest.fixture
async def channel(person: Scripts) -> AsyncIterator[PubSub]:
    """What server s1 hears."""
    async with person.redis.pubsub() as pubsub:
        await pubsub.subscribe(keys.channel("s1"))
        assert await pubsub.get_message(timeout=2) is not None
        yield pubsub


async def notifications(channel: PubSub) -> list[bytes]:
    heard = []
    while (message := await channel.get_message(timeout=0.1)) is not None:
        heard.append(message["data"])
    return heard


async def test_what_lies_unread_is_notified_until_it_is_read(
    ctx: dict[str, Any], person: Scripts, channel: PubSub
) -> None:
    await connected(person)
    assert await reclaim(ctx) == 0
    _, stream_id, _ = await person.store_chat("m1")
    assert [await reclaim(ctx), await reclaim(ctx)] == [1, 1]
    assert await at_once(reclaim, ctx) == [1, 1, 1, 1]
    assert await notifications(channel) == [f"entry {MOBILE} ".encode()] * 6
    await person.fetch()
    assert await at_once(reclaim, ctx) == [0, 0, 0, 0]
    await person.settle(stream_id)
    assert await reclaim(ctx) == 0
    assert await notifications(channel) == []


async def test_what_another_server_left_is_notified(ctx: dict[str, Any], person: Scripts, channel: PubSub) -> None:
    await connected(person, "s2")
    await person.store_chat("m1")
    await person.fetch(server="s2")
    await connected(person, "s1")
    await person.redis.srem(keys.people("s2"), MOBILE)
    assert await reclaim(ctx) == 1
    assert await notifications(channel) == [f"entry {MOBILE} ".encode()]
    assert (await person.fetch("pending"))[2] == 1
    assert await reclaim(ctx) == 0


@pytest.mark.parametrize("how", [{"alive": False}, {"lease_ms": -1}], ids=["the server is dead", "the lease is over"])
async def test_who_is_gone_needs_no_notification(
    ctx: dict[str, Any], person: Scripts, channel: PubSub, how: dict[str, Any]
) -> None:
    await connected(person, **how)
    await person.store_chat("m1")
    assert await at_once(reclaim, ctx) == [0, 0, 0, 0]
    assert await notifications(channel) == []


async def test_what_our_own_code_failed_on_is_reported(ctx: dict[str, Any], person: Scripts) -> None:
    await connected(person)
    await person.redis.hset(person.keys.entry_states, mapping={"7-1": 5, "8-1": 4})
    with capture_logs() as logs:
        await reclaim(ctx)
    errors = [(each["stream_id"], each["failures"]) for each in logs if each["log_level"] == "error"]
    assert errors == [("7-1", 5)]
