"""Passwords: hashed off the event loop, with a bounded queue, in equal time; and their normal form."""

import asyncio
import threading
import time
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.passwords import MAX_BYTES, Passwords, Standing, forms, normalised
from protocol.errors import ApiError


async def test_only_the_right_password_matches(passwords: Passwords) -> None:
    hashed = await passwords.hash("påsswörd")
    assert await passwords.verify("påsswörd", hashed)
    assert not await passwords.verify("passwort", hashed)
    assert not await passwords.verify("påsswörd", None)


async def test_two_hashes_of_one_password_differ_and_have_the_asked_cost(passwords: Passwords) -> None:
    first, second = await passwords.hash("the same"), await passwords.hash("the same")
    assert first != second
    assert first.startswith("$2b$04$")


async def test_72_bytes_are_used_whole_and_73_are_an_error(passwords: Passwords) -> None:
    hashed = await passwords.hash("x" * 72)
    assert not await passwords.verify("x" * 71, hashed)
    for attempt in (passwords.hash("x" * 73), passwords.verify("é" * 37, hashed), passwords.verify("é" * 37, None)):
        with pytest.raises(ApiError) as caught:
            await attempt
        assert caught.value.code == "bad_request"


async def test_an_unknown_number_takes_as_long_as_a_known_one() -> None:
    passwords = Passwords(8, 1, 16)
    hashed = await passwords.hash("somebody's")

    async def seconds(known: str | None) -> float:
        started = time.perf_counter()
        await passwords.verify("guess", known)
        return time.perf_counter() - started

    # Taking turns, and the quickest: the machine may be busy with other things.
    pairs = [(await seconds(hashed), await seconds(None)) for _ in range(25)]
    passwords.close()
    somebody, nobody = (min(column) for column in zip(*pairs, strict=True))
    assert 0.7 < nobody / somebody < 1.4


async def test_the_event_loop_is_not_blocked() -> None:
    passwords = Passwords(10, 1, 4)
    job = asyncio.create_task(passwords.hash("slow enough to notice"))
    turns = 0
    while not job.done():
        await asyncio.sleep(0.001)
        turns += 1
    passwords.close()
    assert turns > 5


async def test_requests_beyond_the_queue_fail_until_there_is_room() -> None:
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


async def test_waiting_for_a_thread_has_a_limit() -> None:
    passwords = Passwords(4, 1, 16, queue_seconds=0.2)
    hashed = await passwords.hash("anything")
    async with _every_thread_taken(passwords) as free:
        answers = [asyncio.create_task(passwords.verify("anything", known)) for known in (hashed, None)]
        started = time.perf_counter()
        await asyncio.wait(answers, timeout=5)
        assert 0.15 < time.perf_counter() - started < 1
        assert [str(answer.exception()) for answer in answers] == ["busy", "busy"]
        free.set()
        assert await passwords.verify("anything", hashed)


async def test_a_hash_that_is_being_computed_is_not_given_up() -> None:
    passwords = Passwords(10, 1, 0, queue_seconds=0.001)
    assert await passwords.hash("takes longer than a millisecond")
    passwords.close()


async def test_a_client_that_disconnects_leaves_the_queue() -> None:
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


async def test_known_devices_go_before_unknown_ones() -> None:
    served, busy = await _order(Passwords(4, 1, 8), [STRANGER, STRANGER, KNOWN, KNOWN])
    assert (served, busy) == ([2, 3, 0, 1], [])


async def test_unknown_devices_cannot_fill_the_queue_of_known_ones() -> None:
    served, busy = await _order(Passwords(4, 1, 2), [STRANGER] * 5 + [KNOWN] * 2)
    assert served[:2] == [5, 6]
    assert busy == [2, 3, 4]


async def test_known_devices_do_not_keep_unknown_ones_out() -> None:
    served, _ = await _order(Passwords(4, 1, 16), [KNOWN] * 12 + [STRANGER])
    assert served.index(12) < 4


async def test_within_a_queue_requests_with_fewer_attempts_go_first() -> None:
    served, busy = await _order(Passwords(4, 1, 8), [STRANGER._replace(used=used) for used in (9, 1, 5, 1)])
    assert (served, busy) == ([1, 3, 2, 0], [])


async def test_a_request_with_many_attempts_makes_room_for_one_with_few() -> None:
    served, busy = await _order(Passwords(4, 1, 2), [STRANGER._replace(used=used) for used in (9, 8, 1, 10)])
    assert (served, busy) == ([2, 1], [0, 3])


async def test_disconnecting_does_not_free_a_busy_thread() -> None:
    passwords = Passwords(10, 1, 0)
    job = asyncio.create_task(passwords.hash("a hundred milliseconds"))
    await asyncio.sleep(0.01)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    with pytest.raises(ApiError, match="busy"):
        await passwords.hash("the next one")
    passwords.close()


def test_bcrypt_computes_the_dummy_hash_in_full() -> None:
    passwords = Passwords(4, 1, 0)
    assert bcrypt.checkpw(b"anything", passwords._dummy_hash) is False
    passwords.close()


NFC, NFD = "Zo\u00eb-M\u00fcller-\u00e9", "Zoe\u0308-Mu\u0308ller-e\u0301"


async def test_one_password_matches_however_a_keyboard_writes_it(passwords: Passwords) -> None:
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


async def test_hashes_of_passwords_as_given_still_match(passwords: Passwords) -> None:
    for written in (NFD, "two\u00a0words", "\u0958" * 24):
        before = bcrypt.hashpw(written.encode(), bcrypt.gensalt(4)).decode()
        assert await passwords.verify(written, before)
        assert not await passwords.verify(written, None)


async def test_72_bytes_are_those_of_the_normal_form(passwords: Passwords) -> None:
    assert await passwords.verify("\u00e9" * 36, await passwords.hash("e\u0301" * 36))  # 108 bytes as given
    with pytest.raises(ApiError, match="bad_request"):
        await passwords.hash("\u0958" * 24)  # 72 bytes as given, 144 in NFC


async def test_an_unknown_number_takes_as_many_forms_as_a_known_one(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = await passwords.hash("somebody's")
    computed: list[bytes] = []
    check = bcrypt.checkpw

    def counted(secret: bytes, known: bytes) -> bool:
        computed.append(secret)
        return check(secret, known)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    for guess, count in (("guess", 1), (NFC, 1), (NFD, 2)):
        for known in (hashed, None):
            computed.clear()
            assert not await passwords.verify(guess, known)
            assert len(computed) == count


# ---- normal forms


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("cafe\u0301", "caf\u00e9"),
        ("caf\u00e9", "caf\u00e9"),
        ("a\u00a0b\u2003c\u202fd\u3000e\u1680f", "a b c d e f"),
        ("\u212b", "\u00c5"),
        ("\uff41\ufb01", "\uff41\ufb01"),
        ("  two  spaces  ", "  two  spaces  "),
    ],
)
def test_the_normal_form_is_that_of_rfc_8265(written: str, normal: str) -> None:
    assert normalised(written) == normal


@given(st.text())
def test_normalising_again_changes_nothing(password: str) -> None:
    assert normalised(normalised(password)) == normalised(password)
    assert normalised(unicodedata.normalize("NFD", password)) == normalised(password)


def test_forms_are_the_normal_one_then_the_one_given() -> None:
    assert forms("caf\u00e9") == ["caf\u00e9".encode()]
    assert forms("cafe\u0301") == ["caf\u00e9".encode(), "cafe\u0301".encode()]
    assert forms("e\u0301" * 36) == [("\u00e9" * 36).encode()], "108 bytes as given"
    assert forms("\u0958" * 24) == [("\u0958" * 24).encode()], "144 bytes in the normal form"
    assert forms("x" * (MAX_BYTES + 1)) == []
