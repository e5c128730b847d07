"""How much one person may send: to one, to strangers, to all; what is told, and what it costs."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from delivery.keys import Person
from delivery.mailbox import Mailbox, Stored, awaited
from delivery.rate_limits import RateLimits
from delivery.redis.client import Arg, RedisClient
from delivery.results import NotCached
from delivery.send_limits import MAX_PAIRS, MAX_SENDERS, SendLimits
from delivery.user_records import UserRecords
from protocol.errors import ApiError
from tests.delivery.person_scripts import NO_QUESTION, Scripts
from tests.support.links import link_to
from tests.support.messaging import ASHA, EVE, RAVI, Row, make_settings

HOUR_US = 3_600_000_000


class Clock:
    """Seconds that pass when we say so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _limits(clock: Clock, link: RedisClient | None = None, **options: Any) -> SendLimits:
    settings = make_settings(**{"rate_limits": "on"} | options)
    return SendLimits(settings, RateLimits(link, on=True), clock)  # type: ignore[arg-type]


def _wait(limits: SendLimits, to: str = RAVI, size: int = 5, sender: str = ASHA) -> float:
    """Seconds until it may be sent; 0: it may, and is."""
    try:
        limits.admit(sender, to, size)
    except ApiError as refusal:
        return refusal.retry_after or 0.0
    return 0.0


# ---- in the process


def test_a_pair_has_a_burst_and_then_a_pace(clock: Clock) -> None:
    limits = _limits(clock)
    assert [_wait(limits) for _ in range(61)] == [0.0] * 60 + [1.0]
    assert _wait(limits, to=EVE) == 0
    assert _wait(limits, sender=EVE) == 0
    clock.now += 1
    assert [_wait(limits) for _ in range(21)] == [0.0] * 20 + [1.0]


def test_later_chats_wait_as_long_as_a_limited_one(clock: Clock) -> None:
    limits = _limits(clock)
    for _ in range(61):
        _wait(limits)
    clock.now += 0.5  # ten tokens are back, but the refused one would be overtaken
    assert _wait(limits) == 0.5
    clock.now += 0.5
    assert _wait(limits) == 0


def test_over_all_recipients_chats_and_bytes_are_bounded(clock: Clock) -> None:
    limits = _limits(clock, sender_chats_burst=70, sender_bytes_burst=10_000, sender_bytes_per_second=1000)
    assert [_wait(limits, to=f"92000000{n:02}") for n in range(71)] == [0.0] * 70 + [1.0]
    clock.now += 60
    assert [_wait(limits, to=EVE, size=6000) for _ in range(3)] == [0.0, 0.0, 2.0]
    assert _wait(limits, to=RAVI, size=1) == 2.0
    clock.now += 2
    assert _wait(limits, to=RAVI, size=1) == 0


def test_new_recipients_are_counted_when_they_turn_out_to_be_new(clock: Clock) -> None:
    limits = _limits(clock, new_recipients_per_hour=2)

    def may_be_new(to: str) -> bool:
        return bool(limits.script_args(ASHA, to)[2])

    assert may_be_new("1")
    assert limits.handle_result(ASHA, "1", b"new", [b"1-0"]) == [0]
    assert may_be_new("2")
    assert limits.handle_result(ASHA, "2", b"stranger", [b"1-0"]) == [0], "not new: the token comes back"
    assert may_be_new("3")
    assert limits.handle_result(ASHA, "3", b"answered", [b"1-0"]) == [0]
    assert may_be_new("4")
    assert limits.handle_result(ASHA, "4", b"new", [b"full"]) == [0], "not stored: it may be new another time"
    assert may_be_new("5")
    assert may_be_new("5"), "asked again, and it is not known yet"
    assert not may_be_new("6"), "the last token may be needed for 5"
    assert limits.handle_result(ASHA, "6", b"new", [b"new", b"new"]) == [1800, 1800]
    assert _wait(limits, to="6") == 1800
    limits.handle_unknown_recipient(ASHA, "5")
    assert may_be_new("7")
    assert limits.handle_result(ASHA, "7", b"new", [b"1-0"]) == [0]
    assert not may_be_new("8")
    clock.now += 1800
    assert may_be_new("8")


def test_that_the_recipient_answered_is_cached_for_an_hour(clock: Clock) -> None:
    limits = _limits(clock)
    assert limits.script_args(ASHA, RAVI)[:3] == [1_000_000, 20, 1]
    limits.handle_result(ASHA, RAVI, b"answered", [b"1-0"])
    assert limits.script_args(ASHA, RAVI) == NO_QUESTION
    clock.now += 3601
    assert limits.script_args(ASHA, RAVI)[0] == 1_000_000


def test_that_somebody_wrote_is_noted_once_an_hour(clock: Clock) -> None:
    limits = _limits(clock)
    assert [limits.needs_note(ASHA, RAVI) for _ in range(3)] == [True, False, False]
    clock.now += 3601
    assert limits.needs_note(ASHA, RAVI)


def test_when_switched_off_it_keeps_nothing_but_who_wrote_to_whom(clock: Clock) -> None:
    limits = _limits(clock, rate_limits="off")
    assert [_wait(limits, size=10**9) for _ in range(1000)] == [0.0] * 1000
    assert limits.script_args(ASHA, RAVI) == NO_QUESTION
    limits.handle_unknown_recipient(ASHA, RAVI)
    assert limits._senders == {}
    assert [limits.needs_note(ASHA, RAVI) for _ in range(3)] == [True, False, False]
    clock.now += 3600
    assert limits.needs_note(ASHA, RAVI), "once an hour"


def test_memory_is_bounded_by_what_is_in_use(clock: Clock) -> None:
    limits = _limits(clock, sender_chats_burst=10**6)
    for number in range(MAX_PAIRS):
        limits.admit(ASHA, str(number), 1)
    clock.now += 61
    limits.admit(ASHA, "one more", 1)
    assert len(limits._senders[ASHA].pairs) == 1
    for number in range(MAX_SENDERS - 1):
        limits.admit(str(number), RAVI, 1)
    clock.now += 3601
    limits.admit("one more", RAVI, 1)
    assert len(limits._senders) == 1


def test_a_sender_whose_buckets_are_not_full_is_not_forgotten(clock: Clock) -> None:
    limits = _limits(clock, new_recipients_per_hour=1)
    limits.script_args(ASHA, RAVI)
    limits.handle_result(ASHA, RAVI, b"new", [b"1-0"])
    limits._senders[ASHA].new_full_at += 3600
    for number in range(MAX_SENDERS - 1):
        limits.admit(str(number), RAVI, 1)
    clock.now += 3601
    limits.admit("one more", RAVI, 1)
    assert set(limits._senders) == {ASHA, "one more"}


def test_limited_recipients_leave_nothing_in_memory(clock: Clock) -> None:
    limits = _limits(clock, sender_chats_burst=70)
    waits = [_wait(limits, to=str(number)) for number in range(900)]
    assert waits == [0.0] * 70 + [1.0] * 830
    assert len(limits._senders[ASHA].pairs) == 70
    clock.now += 0.5
    assert _wait(limits, to="0") == 0.5, "the sender is held for all recipients"
    clock.now += 0.5
    assert _wait(limits, to="0") == 0


def test_many_fresh_recipients_cost_each_as_much_as_few(clock: Clock) -> None:
    limits = _limits(clock, sender_chats_burst=10**6)
    looked_at, pairs = 0, None
    for number in range(20 * MAX_PAIRS):
        limits.admit(ASHA, str(number), 1)
        if limits._senders[ASHA].pairs is not pairs:
            pairs = limits._senders[ASHA].pairs
            looked_at += len(pairs)
    assert looked_at <= 2 * 20 * MAX_PAIRS


def test_many_senders_cost_each_as_much_as_few(clock: Clock) -> None:
    limits = _limits(clock)
    looked_at, senders = 0, None
    for number in range(3 * MAX_SENDERS):
        limits.admit(str(number), RAVI, 1)
        if limits._senders is not senders:
            senders = limits._senders
            looked_at += len(senders)
    assert looked_at <= 2 * 3 * MAX_SENDERS


# ---- in the script


def _question(interval_us: int = HOUR_US, burst: int = 3, may_be_new: int = 1) -> list[Arg]:
    return [interval_us, burst, may_be_new, 1000]


async def _sent(person: Scripts, name: str, question: list[Arg] | None = None, **how: Any) -> str:
    verdict, _, _ = await person.store_chat(name, question=question or _question(), **how)
    return "wait" if verdict.isdigit() else str(verdict)


async def test_after_a_burst_a_stranger_gets_the_time_to_wait(person: Scripts) -> None:
    assert [await _sent(person, f"m{n}") for n in range(4)] == ["stored"] * 3 + ["wait"]
    assert person.standing == "stranger"
    verdict, _, _ = await person.store_chat("m9", question=_question())
    assert 0.99 * HOUR_US < int(verdict) <= HOUR_US
    assert len(await person.waits()) == 3
    assert await _sent(person, "m1") == "stored", "a repetition is no new chat"
    assert await _sent(person, "x1", sender=EVE) == "stored", "and others have buckets of their own"


async def test_the_bucket_of_a_stranger_fills_again(person: Scripts) -> None:
    limit = _question(interval_us=HOUR_US, burst=1)
    assert [await _sent(person, f"m{n}", limit) for n in range(2)] == ["stored", "wait"]
    full_at = int((await person.redis.hgetall(person.keys.strangers))[ASHA.encode()])
    await person.redis.hset(person.keys.strangers, ASHA, full_at - HOUR_US)  # an hour passes
    assert await _sent(person, "m2", limit) == "stored"


async def test_a_sender_who_was_written_to_is_no_stranger(person: Scripts) -> None:
    for n in range(4):
        await _sent(person, f"m{n}")
    await person.note_answered(post_sender := "9200000001")
    assert await _sent(person, "m4", sender=post_sender) == "stored"
    assert person.standing == "answered"
    assert await person.redis.hgetall(person.keys.strangers) == {}, "the bucket is gone"


async def test_a_new_recipient_is_limited_without_a_token(person: Scripts) -> None:
    assert await _sent(person, "m1", _question(may_be_new=0)) == "new"
    assert (person.standing, await person.waits()) == ("new", [])
    assert await _sent(person, "m1") == "stored"
    assert await _sent(person, "m2", _question(may_be_new=0)) == "stored", "not new any more"


async def test_a_blocked_stranger_gets_the_same_answers(person: Scripts) -> None:
    open_answers = [await _sent(person, f"m{n}") for n in range(5)]
    await person.load(version=1, blocked=(EVE,))
    assert [await _sent(person, f"m{n}", sender=EVE) for n in range(5)] == open_answers


async def test_records_of_strangers_expire_and_are_bounded(person: Scripts) -> None:
    await _sent(person, "m1")
    assert 990 < await person.redis.ttl(person.keys.strangers) <= 1000
    await person.redis.hset(person.keys.strangers, mapping={f"93{n:08}": "1" for n in range(1500)})
    await _sent(person, "m2", sender=EVE)
    assert await person.redis.hlen(person.keys.strangers) == 1501, "one came, one went"
    for n in range(5):
        await person.note_answered(f"94{n:08}", most=3)
    assert await person.redis.scard(person.keys.answered) == 3
    assert 0 < await person.redis.ttl(person.keys.answered) <= 1000


async def test_strangers_are_remembered_from_the_last_of_their_chats_on(person: Scripts) -> None:
    await _sent(person, "m1")
    await person.redis.expire(person.keys.strangers, 5)
    assert await _sent(person, "m2") == "stored"
    assert 990 < await person.redis.ttl(person.keys.strangers) <= 1000


@pytest.mark.parametrize("blocked", [False, True])
async def test_a_recipient_with_entries_of_the_sender_is_not_new(person: Scripts, blocked: bool) -> None:
    """As after the upgrade, when it is not known yet who wrote to whom."""
    if blocked:
        await person.load(version=1, blocked=("9200000001",))
    assert await _sent(person, "m1", NO_QUESTION) == "stored"
    assert not await person.redis.exists(person.keys.strangers)
    assert await _sent(person, "m2", _question(may_be_new=0)) == "stored"
    assert person.standing == "stranger"
    assert await person.redis.hlen(person.keys.strangers) == 1
    assert await _sent(person, "m1", _question(may_be_new=0), sender=EVE) == "new"


async def test_known_recipients_are_bounded_too(person: Scripts) -> None:
    await _sent(person, "m1", NO_QUESTION)
    await person.redis.hset(person.keys.strangers, mapping={f"93{n:08}": "1" for n in range(1500)})
    await _sent(person, "m2", _question(may_be_new=0))
    assert await person.redis.hlen(person.keys.strangers) == 1500


async def test_one_sender_has_a_share_of_the_bytes(person: Scripts) -> None:
    assert [(await person.store_chat(f"m{n}", "x" * 40, most_bytes=100))[0] for n in range(3)] == [
        "stored",
        "stored",
        "full",
    ]
    assert (await person.store_chat("m9", "x" * 40, EVE, most_bytes=100))[0] == "stored"
    assert (await person.store_chat("m4", "x" * 20, most_bytes=100))[0] == "stored"
    first = (await person.waits())[0]
    await person.claim()
    await person.fetch()
    await person.settle(first)
    assert (await person.store_chat("m5", "x" * 40, most_bytes=100))[0] == "stored"


async def test_uncounted_bytes_count_as_zero(person: Scripts) -> None:
    for n in range(3):
        await person.store_chat(f"m{n}", "x" * 40)
    await person.redis.hdel(person.keys.tally, "b:9200000001")  # as an older version leaves it
    await person.claim()
    await person.fetch()
    await person.settle((await person.waits())[0])
    assert (await person.whole_tally())["b:9200000001"] == 0
    await person.settle(*await person.waits())
    assert await person.whole_tally() == {}


# ---- together


class House:
    def __init__(self, link: RedisClient, **options: Any) -> None:
        self.settings = make_settings(**{"rate_limits": "on"} | options)
        self.rows = {mobile: Row(f"account-{mobile}") for mobile in (ASHA, RAVI, EVE)}
        self.people = UserRecords(link, self.find)
        limits = SendLimits(self.settings, RateLimits(link, on=True))
        self.mailbox = Mailbox(link, self.people, self.settings, limits=limits)

    async def find(self, mobile: str) -> Row | None:
        return self.rows.get(mobile)

    async def send(self, sender: str, to: str, *names: str) -> list[str]:
        """What became of each."""
        stored = await self.store(to, sender, [(name, "hello") for name in names])
        return [each.code if isinstance(each, ApiError) else "sent" for each in stored.results]

    async def store(self, to: str, sender: str, chats: list[tuple[str, str]]) -> Stored:
        try:
            stored: Stored = await awaited(self.mailbox.store_chats, to, sender, chats)
        except NotCached:
            await self.mailbox.load_recipient(to, sender)
            stored = await awaited(self.mailbox.store_chats, to, sender, chats)
        return stored


async def test_strangers_become_known_by_an_answer(redis: "Redis") -> None:
    house = House(link_to(redis), stranger_chats_burst=2)
    assert await house.send(ASHA, RAVI, "a1", "a2", "a3", "a4") == ["sent"] * 2 + ["rate_limited"] * 2
    assert await house.send(RAVI, ASHA, "r1", "r2", "r3") == ["sent"] * 3, "Asha wrote to Ravi: they are no stranger"
    await asyncio.sleep(0.05)
    assert await house.send(ASHA, RAVI, "a3", "a4", "a5") == ["sent"] * 3
    assert await redis.keys("strangers:*") == []


async def test_looking_up_a_recipient_is_limited(redis: "Redis") -> None:
    house = House(link_to(redis), lookups_burst=3, new_recipients_per_hour=1)
    for number in range(3):
        with pytest.raises(ApiError, match="no_such_person"):
            await house.send(ASHA, f"999999990{number}", "m1")
    for unknown in ("9999999909", RAVI):
        with pytest.raises(ApiError, match="rate_limited"):
            await house.send(ASHA, unknown, "m1")
    await house.people.load(RAVI)
    assert await house.send(ASHA, RAVI, "m1") == ["sent"], "those nobody has were no new recipients"
    await house.people.load(EVE)
    assert await house.send(ASHA, EVE, "m1") == ["rate_limited"]


async def test_two_accounts_do_not_fill_a_mailbox(redis: "Redis") -> None:
    house = House(link_to(redis), rate_limits="off")
    text = "x" * 16_384
    for sender in (ASHA, EVE):
        chats = [(f"m{n}", text) for n in range(1000)]
        for start in range(0, 1000, 50):
            await house.store(RAVI, sender, chats[start : start + 50])
    waits = int(await redis.hget(Person(RAVI).tally, "b") or 0)
    assert waits == 2 * 2**20
    assert await house.send("9400000001", RAVI, "honest") == ["sent"]


@pytest.mark.parametrize("limits", ["on", "off"])
async def test_who_wrote_to_somebody_has_a_contact_whether_or_not_they_are_blocked(redis: "Redis", limits: str) -> None:
    house = House(link_to(redis), rate_limits=limits)
    house.rows[EVE].blocked, house.rows[EVE].blocks_version = {ASHA: 1}, 1
    for to in (RAVI, EVE, RAVI, EVE):
        assert await house.send(ASHA, to, "a1") == ["sent"]
    await asyncio.sleep(0.05)
    assert await redis.smembers(house.people.keys(ASHA).answered) == {RAVI.encode(), EVE.encode()}
    assert await redis.smembers(house.people.keys(EVE).answered) == set()
