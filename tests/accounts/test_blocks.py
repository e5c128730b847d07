"""Blocks, their versions, and what is written to Redis."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from accounts.blocks import Blocks
from accounts.rules import Rules
from models import Block, User
from protocol.errors import ApiError
from tests.support.api import Notes

A, B, C = "919800000001", "919800000002", "919800000003"


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def blocks(enrol: Callable[[str], Awaitable[User]], notes: Notes) -> Blocks:
    for mobile in (A, B, C):
        await enrol(mobile)
    return Blocks(notes.changed, 2)


async def test_each_change_raises_the_version_and_passes_on_the_whole_set(blocks: Blocks, notes: Notes) -> None:
    await blocks.block(A, C)
    await blocks.block(A, B)
    await blocks.unblock(A, C)
    account = str((await User.get(mobile_no=A)).id)
    assert notes.blocks == [(1, [C]), (2, [B, C]), (3, [B])]
    assert {(mobile, rules.account_id) for mobile, rules in notes.changes} == {(A, account)}
    since = notes.changes[1][1].blocked
    assert notes.changes[0][1].blocked == {C: since[C]}, "it is told when the block was made"
    assert since[C] <= since[B] <= time.time() * 1000 < since[C] + 60_000
    assert [(person.mobile, person.name) for person in await blocks.list(A)] == [(B, "Person 2")]
    assert await blocks.list(B) == []


async def test_a_repeated_change_raises_no_version_and_is_passed_on_again(blocks: Blocks, notes: Notes) -> None:
    await blocks.unblock(A, B)
    await blocks.block(A, B)
    await blocks.block(A, B)
    assert notes.blocks == [(0, []), (1, [B]), (1, [B])]


async def test_when_redis_was_away_a_repetition_passes_the_set_on(blocks: Blocks, notes: Notes) -> None:
    notes.fail = ApiError("unavailable")
    with pytest.raises(ApiError, match="unavailable"):
        await blocks.block(A, B)
    assert await Block.all().count() == 1
    notes.fail = None
    await blocks.block(A, B)
    assert notes.blocks == [(1, [B])]


async def test_two_who_block_each_other_at_once_do_not_deadlock(blocks: Blocks) -> None:
    for _ in range(10):
        await asyncio.gather(blocks.block(A, B), blocks.block(B, A))
        await asyncio.gather(blocks.unblock(A, B), blocks.unblock(B, A))
    assert (await User.get(mobile_no=A)).blocks_version == 20


async def test_changes_at_once_lose_no_version(blocks: Blocks, notes: Notes) -> None:
    await asyncio.gather(*(blocks.block(A, mobile) for mobile in (B, C, B, C)))
    assert max(notes.blocks) == (2, [B, C])
    # Nobody was told one version with two sets.
    assert len({(version, tuple(blocked)) for version, blocked in notes.blocks}) == 2


async def test_the_list_has_a_limit(blocks: Blocks, enrol: Callable[[str], Awaitable[User]]) -> None:
    await enrol("919800000004")
    await blocks.block(A, B)
    await blocks.block(A, C)
    with pytest.raises(ApiError, match="block_list_full"):
        await blocks.block(A, "919800000004")
    await blocks.block(A, C)
    assert (await User.get(mobile_no=A)).blocks_version == 2


@pytest.mark.parametrize(("mobile", "code"), [(A, "self_block"), ("919800009999", "no_such_person")])
async def test_blocking_oneself_or_an_unknown_number_is_an_error(
    blocks: Blocks, notes: Notes, mobile: str, code: str
) -> None:
    for attempt in (blocks.block(A, mobile), blocks.unblock(A, mobile)):
        with pytest.raises(ApiError, match=code):
            await attempt
    assert notes.changes == []


async def test_disconnecting_after_the_commit_does_not_keep_the_change_from_redis(blocks: Blocks, notes: Notes) -> None:
    told, go_on = asyncio.Event(), asyncio.Event()
    heard = notes.changed

    async def slowly(mobile: str, rules: Rules) -> None:
        told.set()
        await go_on.wait()
        await heard(mobile, rules)

    request = asyncio.create_task(Blocks(slowly, 2).block(A, B))
    await told.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    go_on.set()
    await asyncio.sleep(0.01)
    assert notes.blocks == [(1, [B])]
