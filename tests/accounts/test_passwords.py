"""Hashing off the loop, within bounds, in equal time."""

import asyncio
import statistics
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import bcrypt
import pytest

from accounts.passwords import Passwords, Standing
from protocol.errors import ApiError


async def test_the_right_one_fits_and_others_do_not(passwords: Passwords) -> None:
    hashed = await passwords.hash("påsswörd")
    assert await passwords.verify("påsswörd", hashed)
    assert not await passwords.verify("passwort", hashed)
    assert not await passwords.verify("påsswörd", None)


async def test_two_hashes_of_one_password_differ_and_have_the_asked_cost(passwords: Passwords) -> None:
    first, second = await passwords.hash("the same"), await passwords.hash("the same")
    assert first != second
    assert first.startswith("$2b$04$")


async def test_72_bytes_are_taken_whole_and_73_are_refused(passwords: Passwords) -> None:
    hashed = await passwords.hash("x" * 72)
    assert not await passwords.verify("x" * 71, hashed)
    for attempt in (passwords.hash("x" * 73), passwords.verify("é" * 37, hashed), passwords.verify("é" * 37, None)):
        with pytest.raises(ApiError) as caught:
            await attempt
        assert caught.value.code == "bad_request"


async def test_nobody_costs_as_much_as_somebody() -> None:
    passwords = Passwords(8, 1, 16)
    hashed = await passwords.hash("somebody's")

    async def seconds(known: str | None) -> float:
        started = time.perf_counter()
        await passwords.verify("guess", known)
        return time.perf_counter() - started

    # Taking turns, and the median: the machine may be busy with other things.
    pairs = [(await seconds(hashed), await seconds(None)) for _ in range(15)]
    passwords.close()
    somebody, nobody = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert 0.7 < nobody / somebody < 1.4


async def test_the_loop_goes_on_meanwhile() -> None:
    passwords = Passwords(10, 1, 4)
    job = asyncio.create_task(passwords.hash("slow enough to notice"))
    turns = 0
    while not job.done():
        await asyncio.sleep(0.001)
        turns += 1
    passwords.close()
    assert turns > 5


async def test_more_than_admitted_are_refused_and_room_comes_back() -> None:
    passwords = Passwords(8, 1, 2)
    answers = await asyncio.gather(*(passwords.hash("anything") for _ in range(6)), return_exceptions=True)
    refused = [answer.code for answer in answers if isinstance(answer, ApiError)]
    assert refused == ["busy"] * 3
    assert await passwords.verify("anything", next(a for a in answers if isinstance(a, str)))
    passwords.close()


@asynccontextmanager
async def _every_thread_taken(passwords: Passwords, threads: int = 1) -> AsyncIterator[threading.Event]:
    """Until the event is set, or the block is over."""
    free = threading.Event()
    works = [asyncio.create_task(passwords._run(free.wait, Standing())) for _ in range(threads)]
    await asyncio.sleep(0)
    try:
        yield free
    finally:
        free.set()
        await asyncio.wait(works)
        passwords.close()


async def test_nobody_waits_longer_for_a_thread_than_they_may() -> None:
    passwords = Passwords(4, 1, 16, patience=0.2)
    hashed = await passwords.hash("anything")
    async with _every_thread_taken(passwords) as free:
        answers = [asyncio.create_task(passwords.verify("anything", known)) for known in (hashed, None)]
        started = time.perf_counter()
        await asyncio.wait(answers, timeout=5)
        assert 0.15 < time.perf_counter() - started < 1
        assert [str(answer.exception()) for answer in answers] == ["busy", "busy"]
        free.set()
        assert await passwords.verify("anything", hashed)


async def test_one_whose_hash_is_being_computed_is_not_sent_away() -> None:
    passwords = Passwords(10, 1, 0, patience=0.001)
    assert await passwords.hash("takes longer than a millisecond")
    passwords.close()


async def test_who_hangs_up_while_waiting_gives_the_place_back_and_costs_no_thread() -> None:
    passwords = Passwords(4, 1, 1)
    worked: list[str] = []
    async with _every_thread_taken(passwords) as free:
        waiting = asyncio.create_task(passwords._run(lambda: worked.append("first"), Standing()))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        following = asyncio.create_task(passwords._run(lambda: worked.append("second"), Standing()))
        await asyncio.sleep(0.01)
        free.set()
        await following
    assert worked == ["second"]


async def _order(passwords: Passwords, standings: list[Standing], threads: int = 1) -> tuple[list[int], list[int]]:
    """Those who come one after the other while every thread is taken: in which order they are served, who is sent
    away."""
    served: list[int] = []
    async with _every_thread_taken(passwords, threads) as free:
        works = []
        for number, standing in enumerate(standings):
            works.append(asyncio.create_task(passwords._run(partial(served.append, number), standing)))
            await asyncio.sleep(0)
        free.set()
        answers = await asyncio.gather(*works, return_exceptions=True)
    return served, [number for number, answer in enumerate(answers) if isinstance(answer, ApiError)]


STRANGER, KNOWN = Standing(known=False), Standing(known=True)


async def test_known_devices_go_before_strangers() -> None:
    served, busy = await _order(Passwords(4, 1, 8), [STRANGER, STRANGER, KNOWN, KNOWN])
    assert (served, busy) == ([2, 3, 0, 1], [])


async def test_strangers_cannot_take_the_places_of_known_devices() -> None:
    served, busy = await _order(Passwords(4, 1, 2), [STRANGER] * 5 + [KNOWN] * 2)
    assert served[:2] == [5, 6]
    assert busy == [2, 3, 4]


async def test_a_crowd_of_known_devices_does_not_keep_strangers_out() -> None:
    served, _ = await _order(Passwords(4, 1, 16), [KNOWN] * 12 + [STRANGER])
    assert served.index(12) < 4


async def test_within_a_lane_those_who_tried_less_go_first() -> None:
    served, busy = await _order(Passwords(4, 1, 8), [STRANGER._replace(used=used) for used in (9, 1, 5, 1)])
    assert (served, busy) == ([1, 3, 2, 0], [])


async def test_who_tried_often_makes_room_for_who_comes_first() -> None:
    served, busy = await _order(Passwords(4, 1, 2), [STRANGER._replace(used=used) for used in (9, 8, 1, 10)])
    assert (served, busy) == ([2, 1], [0, 3])


async def test_hanging_up_does_not_free_a_thread_that_works() -> None:
    passwords = Passwords(10, 1, 0)
    job = asyncio.create_task(passwords.hash("a hundred milliseconds"))
    await asyncio.sleep(0.01)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    with pytest.raises(ApiError, match="busy"):
        await passwords.hash("the next one")
    passwords.close()


def test_the_hash_of_nobody_is_one_bcrypt_computes_in_full() -> None:
    passwords = Passwords(4, 1, 0)
    assert bcrypt.checkpw(b"anything", passwords._nobody) is False
    passwords.close()


NFC, NFD = "Zo\u00eb-M\u00fcller-\u00e9", "Zoe\u0308-Mu\u0308ller-e\u0301"


async def test_one_password_however_a_keyboard_writes_it(passwords: Passwords) -> None:
    for first, second in (
        (NFC, NFD),
        ("two words", "two\u00a0words"),
        ("two words", "two\u3000words"),
        ("\u212bngstr", "\u00c5ngstr"),
    ):
        assert await passwords.verify(second, await passwords.hash(first))
        assert await passwords.verify(first, await passwords.hash(second))
    assert not await passwords.verify("Zoe-Muller-e", await passwords.hash(NFC)), "accents count"
    assert not await passwords.verify("\uff41bcdef", await passwords.hash("abcdef")), (
        "and so do wide letters (RFC 8265)"
    )


async def test_what_was_hashed_as_given_goes_on_working(passwords: Passwords) -> None:
    for given in (NFD, "two\u00a0words", "\u0958" * 24):
        before = bcrypt.hashpw(given.encode(), bcrypt.gensalt(4)).decode()
        assert await passwords.verify(given, before)
        assert not await passwords.verify(given, None)


async def test_72_bytes_are_those_of_the_normal_form(passwords: Passwords) -> None:
    assert await passwords.verify("\u00e9" * 36, await passwords.hash("e\u0301" * 36))  # 108 bytes as given
    with pytest.raises(ApiError, match="bad_request"):
        await passwords.hash("\u0958" * 24)  # 72 bytes as given, 144 in NFC


async def test_nobody_costs_as_many_forms_as_somebody(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = await passwords.hash("somebody's")
    computed: list[bytes] = []
    check = bcrypt.checkpw

    def counted(secret: bytes, known: bytes) -> bool:
        computed.append(secret)
        return check(secret, known)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    for guess, forms in (("guess", 1), (NFC, 1), (NFD, 2)):
        for known in (hashed, None):
            computed.clear()
            assert not await passwords.verify(guess, known)
            assert len(computed) == forms
