"""Capping: what waited for too long leaves and its sender is told; nothing else is touched."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from delivery.mailbox import awaited, loading
from models import User
from tests.delivery.person_scripts import ASHA, MOBILE, RAVI, Scripts, now_ms
from tests.workers.support import account, at_once, connected, enrol, with_settings

Old = Callable[[], Awaitable[None]]


async def cap_all(ctx: dict[str, Any]) -> int:
    from workers.expire_mailboxes import expire_mailboxes  # noqa: PLC0415 - the package needs the environment

    return await expire_mailboxes(ctx)


@pytest.fixture
def old(ctx: dict[str, Any], person: Scripts, monkeypatch: pytest.MonkeyPatch) -> Old:
    """Makes all that waits by now too old. What comes later is not, however long the test takes."""
    waited = ctx["services"].settings.mailbox_days * 86_400

    async def make() -> None:
        moment = await next_ms(person)
        monkeypatch.setattr(time, "time", lambda: moment / 1000 + waited)

    return make


async def next_ms(person: Scripts) -> int:
    """Wait until Redis' clock has moved: of what is stored in the same millisecond, half as entries and half as
    shadow entries, nobody knows the order any more."""
    before = await now_ms(person)
    while (now := await now_ms(person)) == before:
        await asyncio.sleep(0)
    return now


@pytest.fixture
async def asha(person: Scripts) -> Scripts:
    """The sender, not loaded into Redis yet."""
    await enrol(ASHA)
    return Scripts(person.redis, ASHA)


async def told(person: Scripts) -> list[tuple[str, str, str]]:
    """Receipts in a mailbox: of whom, what, for which chats."""
    entries = await person.redis.xrange(person.keys.mailbox)
    return [(e[b"f"].decode(), e[b"a"].decode(), e[b"i"].decode()) for _, e in entries if e[b"k"] == b"r"]


async def test_old_chats_leave_and_their_sender_is_told_once(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts
) -> None:
    for n in range(3):
        await person.store_chat(f"old-{n}")
    await person.store_receipt("x", sender=RAVI)
    assert await cap_all(ctx) == 0
    await old()
    _, young, _ = await person.store_chat("young")
    assert await cap_all(ctx) == 4
    assert await person.waits() == [young]
    assert await person.tally() == {"n": 1, "b": 5, f"n:{ASHA}": 1}
    assert await told(asha) == [(MOBILE, "expired", "old-0 old-1 old-2")]
    assert await cap_all(ctx) == 0
    assert await told(asha) == [(MOBILE, "expired", "old-0 old-1 old-2")]


async def test_several_workers_at_once_expire_each_chat_once(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts
) -> None:
    await asha.load(await _id(ASHA))
    for n in range(20):
        await person.store_chat(f"old-{n}")
    await old()
    assert sum(await at_once(cap_all, ctx)) == 20
    assert await person.waits() == []
    assert await person.tally() == {}
    named = {message_id for _, _, ids in await told(asha) for message_id in ids.split()}
    assert named == {f"old-{n}" for n in range(20)}


async def test_what_one_device_has_is_not_expired_on_another(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts
) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    sent = [(await person.store_chat(f"old-{n}"))[1] for n in range(3)]
    await person.fetch(device="phone")
    await person.settle(sent[0], device="phone")
    await person.mark_read("old-1", device="phone")
    await old()
    assert await cap_all(ctx) == 3
    assert await person.waits() == []
    assert await told(asha) == [(MOBILE, "expired", "old-2")]


async def acknowledge(ctx: dict[str, Any], chats: dict[str, str], kind: str = "delivered") -> None:
    """What a server does with acknowledgements of Asha's chats (messageId to streamId), before it settles them."""
    services, names = ctx["services"], list(chats)
    if kind == "read":
        await awaited(services.mailbox.note_delivered, MOBILE, ASHA, names, "a")
    else:
        await awaited(services.mailbox.note_acknowledged, MOBILE, ASHA, list(chats.values()), names)
    stored = partial(awaited, services.mailbox.store_receipt, ASHA, MOBILE, kind, names, ())
    await loading(services.users, ASHA, stored)


async def test_who_was_told_of_a_delivery_is_not_told_of_an_expiry_if_the_server_dies_before_it_settles(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts
) -> None:
    sent = {f"old-{n}": (await person.store_chat(f"old-{n}"))[1] for n in range(3)}
    await connected(person)
    await person.fetch()
    await old()
    await acknowledge(ctx, {name: sent[name] for name in ("old-0", "old-1")})
    await person.sweep("s1")
    assert await cap_all(ctx) == 3
    assert (await told(asha))[0] == (MOBILE, "delivered", "old-0 old-1")
    assert [ids for _, kind, ids in await told(asha) if kind == "expired"] == ["old-2"]


async def test_the_same_for_who_was_told_that_his_chat_was_read(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, stream_id, _ = await person.store_chat("old")
    await connected(person)
    await person.fetch()
    await old()
    await acknowledge(ctx, {"old": stream_id}, "read")  # and the server dies before it marks the chat
    await person.sweep("s1")
    assert await cap_all(ctx) == 1
    assert [kind for _, kind, _ in await told(asha)][:1] == ["read"]
    assert not [kind for _, kind, _ in await told(asha) if kind == "expired"]


async def test_who_was_to_be_told_of_a_delivery_when_the_server_died_is_told_of_it_in_the_end(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts
) -> None:
    _, stream_id, _ = await person.store_chat("old")
    await person.note_acknowledged({"old": stream_id})
    await old()
    assert await cap_all(ctx) == 1
    assert await told(asha) == [(MOBILE, "delivered", "old")]
    assert await cap_all(ctx) == 0


async def test_what_is_being_acked_does_not_expire(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts
) -> None:
    sent = [(await person.store_chat(f"old-{n}"))[1] for n in range(2)]
    await connected(person)
    await person.fetch(count=1)
    await old()
    assert await cap_all(ctx) == 1
    assert await person.waits() == sent[:1]
    assert await told(asha) == [(MOBILE, "expired", "old-1")]
    await acknowledge(ctx, {"old-0": sent[0]})
    await person.settle(sent[0])
    await person.release()
    assert await cap_all(ctx) == 0
    assert [ids for _, kind, ids in await told(asha) if kind == "expired"] == ["old-1"]


async def test_what_was_in_flight_for_a_day_longer_expires(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asha.load(await _id(ASHA))
    await person.store_chat("m-1")
    await connected(person)
    await person.fetch()
    await old()
    assert await cap_all(ctx) == 0
    monkeypatch.setattr(sys.modules["workers.expire_mailboxes"], "IN_FLIGHT_DAYS", 0)
    assert await cap_all(ctx) == 1
    assert await told(asha) == [(MOBILE, "expired", "m-1")]


async def test_nobody_gets_what_has_expired_while_its_sender_is_told(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox, handed = ctx["services"].mailbox, list[Any]()
    telling = mailbox.find_unacknowledged

    def fetching_first(*args: Any) -> None:
        *given, then = args

        async def fetch(result: Any) -> None:
            handed.extend((await person.fetch())[3])
            then(result)

        telling(*given, lambda result: tasks.append(asyncio.create_task(fetch(result))))

    tasks: list[asyncio.Task[None]] = []
    monkeypatch.setattr(mailbox, "find_unacknowledged", fetching_first)
    await person.store_chat("old")
    await connected(person)
    await old()
    assert await cap_all(ctx) == 1
    assert handed == []
    assert await told(asha) == [(MOBILE, "expired", "old")]


async def test_a_shadow_entry_ends_as_a_chat_would(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts
) -> None:
    await person.load(await account(person), version=1, blocked=(ASHA,))
    await person.store_chat("old")
    await old()
    assert await cap_all(ctx) == 1
    assert await cap_all(ctx) == 0
    assert await told(asha) == [(MOBILE, "expired", "old")]
    assert await person.tally() == {}


async def test_a_dropped_chat_expires_by_the_time_it_was_sent(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts
) -> None:
    await person.store_chat("early")
    await old()
    await person.load(await account(person), version=1, blocked=(ASHA,))
    await person.store_chat("phantom")
    await connected(person)
    assert (await person.fetch())[3] == []
    assert await cap_all(ctx) == 1
    assert await told(asha) == [(MOBILE, "expired", "early")]
    assert await person.tally() == {"pn": 1, "pb": 5, f"pn:{ASHA}": 1}


@pytest.mark.parametrize("blocked", [False, True], ids=["offline", "blocked"])
async def test_who_is_blocked_gets_the_receipts_of_who_waits(
    ctx: dict[str, Any],
    old: Old,
    person: Scripts,
    asha: Scripts,
    monkeypatch: pytest.MonkeyPatch,
    *,
    blocked: bool,
) -> None:
    module = sys.modules["workers.expire_mailboxes"]
    monkeypatch.setattr(module, "BATCH_SIZE", 3)
    monkeypatch.setattr(module, "SHADOW_BATCH_SIZE", 2)
    for n in range(4):
        await person.store_chat(f"before-{n}")
    await next_ms(person)
    if blocked:
        await person.load(await account(person), version=1, blocked=(ASHA,))
        await person.store_chat("after-0")
        await connected(person)
        assert (await person.fetch(count=2))[3] == []
        await person.store_chat("after-1")
    else:
        await person.store_chat("after-0")
        await person.store_chat("after-1")
    await old()
    assert await cap_all(ctx) == 6
    assert await told(asha) == [
        (MOBILE, "expired", "before-0 before-1 before-2"),
        (MOBILE, "expired", "before-3 after-0 after-1"),
    ]
    assert await person.tally() == {}


async def test_a_sender_whose_account_is_gone_holds_nothing_up(ctx: dict[str, Any], old: Old, person: Scripts) -> None:
    await person.store_chat("old", sender=RAVI)
    await old()
    assert await cap_all(ctx) == 1
    assert await person.waits() == []


async def test_the_next_owner_of_a_senders_number_is_told_of_no_expiry(
    ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts
) -> None:
    await person.store_chat("old")
    await next_ms(person)
    await asha.redis.set(asha.keys.left_by, "the former one")
    await asha.load("account-of-the-next", owned_since=await now_ms(person))
    await old()
    assert await cap_all(ctx) == 1
    assert (await person.waits(), await asha.waits()) == ([], [])


async def test_the_senders_server_is_rung(ctx: dict[str, Any], old: Old, person: Scripts, asha: Scripts) -> None:
    await asha.load(await _id(ASHA))
    await asha.claim(server="s7", account=await account(asha))
    await person.store_chat("old")
    async with person.redis.pubsub() as pubsub:
        await pubsub.subscribe("notify:s7")
        assert await pubsub.get_message(timeout=2) is not None
        await old()
        assert await cap_all(ctx) == 1
        heard = await pubsub.get_message(timeout=2)
    assert heard is not None
    assert heard["data"] == f"entry {ASHA} {(await asha.waits())[0]}".encode()


async def test_empty_mailboxes_go_and_full_ones_stay(ctx: dict[str, Any], person: Scripts) -> None:
    _, stream_id, _ = await person.store_chat("m1")
    await at_once(cap_all, ctx)
    assert await person.waits() == [stream_id]
    await person.settle(stream_id)
    await connected(person)
    await cap_all(ctx)
    assert await person.redis.exists(person.keys.mailbox) == 1
    await person.release()
    for _ in range(2):
        await at_once(cap_all, ctx)
        assert await person.redis.exists(person.keys.mailbox) == 0


async def test_a_device_that_never_came_back_is_forgotten(ctx: dict[str, Any], person: Scripts) -> None:
    for device in ("phone", "tablet"):
        await person.claim(device, account=await account(person))
    _, stream_id, _ = await person.store_chat("m1")
    await person.settle(stream_id, device="phone")
    await person.sweep("s1")
    long_ago = int((time.time() - 31 * 86_400) * 1000)
    await person.redis.hset(person.keys.user, "dev:tablet", long_ago)
    await at_once(cap_all, ctx)
    assert await person.groups() == ["phone"]
    assert await person.redis.hexists(person.keys.user, "dev:phone")
    assert not await person.redis.hexists(person.keys.user, "dev:tablet")


async def test_a_run_stops_at_its_budget_and_the_next_goes_on(ctx: dict[str, Any], old: Old, person: Scripts) -> None:
    async with person.redis.pipeline(transaction=False) as pipe:
        for n in range(4000):
            pipe.set(f"something else:{n}", "")
        await pipe.execute()
    for n in range(8):
        other = Scripts(person.redis, f"930000000{n}")
        await other.load(f"account-{n}")
        await other.store_chat("old", sender=RAVI)
    await old()
    ctx = with_settings(ctx, cap_batch=1)
    runs = [await cap_all(ctx)]
    assert await person.redis.get("cap:cursor") != b"0"
    while await person.redis.get("cap:cursor") != b"0":
        runs.append(await cap_all(ctx))
    assert sum(runs) == 8
    assert max(runs) < 8


async def test_the_records_of_who_is_looked_at_turn(ctx: dict[str, Any], person: Scripts) -> None:
    _, gone, _ = await person.store_chat("m1")
    await person.settle(gone)
    sent = [(await person.store_chat(f"w{n}"))[1] for n in range(3)]
    await cap_all(ctx)
    assert not await person.redis.exists(person.keys.dedupe_before), "it is not time yet"
    await person.age_records()
    await at_once(cap_all, ctx)
    assert await person.redis.ttl(person.keys.dedupe_before) > 0
    assert await person.states(person.keys.dedupe) == ["s"] * 3
    assert await person.store_chat("m1") == ["stored", gone, []]
    assert [(await person.store_chat(f"w{n}"))[1] for n in range(3)] == sent


async def _id(mobile: str) -> str:
    return str((await User.get(mobile_no=mobile)).id)
