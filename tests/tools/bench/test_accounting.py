"""The ledger: each defect is found, and kept apart from the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.bench.accounting import Defects, Ledger, Sequence
from tools.bench.environment import Recorder


def recorded(count: int = 3, pairs: int = 1) -> tuple[Ledger, Recorder]:
    """A ledger with ``count`` chats sent by each pair, and a recorder for what became of them."""
    ledger = Ledger(pairs)
    for pair in range(pairs):
        for _ in range(count):
            ledger.next_id(pair)
    return ledger, Recorder(ledger)


def name(ledger: Ledger, number: int, pair: int = 0) -> str:
    return f"{ledger.run}-{pair}-{number}"


def all_is_well(ledger: Ledger, recorder: Recorder) -> None:
    for pair, entry in enumerate(ledger.pairs):
        for number in range(entry.sent):
            recorder.stored(name(ledger, number, pair))
            recorder.arrived(name(ledger, number, pair))
            recorder.receipt(name(ledger, number, pair))


def wrong(ledger: Ledger) -> dict[str, int]:
    return {kind: count for kind, count in ledger.defects().counts().items() if count}


def test_a_run_in_which_all_is_well_has_no_defects() -> None:
    ledger, recorder = recorded(pairs=2)
    all_is_well(ledger, recorder)
    assert ledger.settled()
    assert not ledger.defects().any()
    assert ledger.defects().text() == "none"
    assert ledger.per_pair() == []


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ("s0 s1 s2 a1 r1 a2 r2", {"lost": 1, "unreceipted": 1}),
        ("s0 s1 s2 a0 r0 a2 r2", {"lost": 1, "unreceipted": 1}),
        ("s0 s1 s2 a0 r0 a1 r1", {"lost": 1, "unreceipted": 1}),
        ("s0 s1 s2 a0 a1 a1 a2 r0 r1 r2", {"doubled": 1}),
        ("s0 s1 s2 a0 a2 a1 r0 r1 r2", {"reordered": 1}),
        ("s0 s1 s2 a0 a2 a1 a1 r0 r1 r2", {"reordered": 1, "doubled": 1}),
        ("s0 s2 a0 a1 a2 r0 r1 r2", {"unanswered": 1}),
        ("s0 s1 s2 a0 a1 a2 r0 r1", {"unreceipted": 1}),
        ("s0 s1 s2 s2 a0 a1 a2 r0 r1 r2 r0", {"receipts_doubled": 2}),
        ("s0 s1 s2 a0 a1 a2 a3 r0 r1 r2", {"unknown": 1}),
    ],
)
def test_each_defect_is_found_and_kept_apart_from_the_others(events: str, found: dict[str, int]) -> None:
    """Of three chats: ``s0`` is the tick of the first, ``a0`` its arrival, ``r0`` its receipt."""
    ledger, recorder = recorded()
    record = {"s": recorder.stored, "a": recorder.arrived, "r": recorder.receipt}
    for kind, number in events.split():
        record[kind](name(ledger, int(number)))
    assert wrong(ledger) == found
    assert ledger.settled() != bool({"lost", "unanswered", "unreceipted"} & found.keys())


@pytest.mark.parametrize("message_id", ["other-0-0", "nonsense", "", "{run}-7-0"])
def test_a_chat_that_was_never_sent_is_unknown(message_id: str) -> None:
    ledger, recorder = recorded()
    all_is_well(ledger, recorder)
    recorder.arrived(message_id.format(run=ledger.run))
    assert wrong(ledger) == {"unknown": 1}


def test_a_refused_chat_is_not_lost_as_well() -> None:
    ledger, recorder = recorded(2)
    recorder.stored(name(ledger, 0)), recorder.arrived(name(ledger, 0)), recorder.receipt(name(ledger, 0))
    recorder.refused("unavailable", name(ledger, 1))
    assert ledger.settled()
    assert wrong(ledger) == {"refused": 1}
    assert ledger.refusals == {"unavailable": 1}


def test_an_error_that_names_no_chat_excuses_no_chat() -> None:
    ledger, recorder = recorded(1)
    recorder.refused("bad_frame", "")
    assert wrong(ledger) == {"refused": 1, "lost": 1, "unanswered": 1, "unreceipted": 1}


def test_a_connection_that_ends_by_itself_counts_and_one_that_the_client_ended_does_not() -> None:
    ledger, recorder = recorded(0)
    recorder.ended = True
    recorder.closed()
    assert not ledger.defects().any()
    recorder.ended = False
    recorder.closed("1008 too many frames")
    recorder.closed("1008 too many frames")
    recorder.closed()
    assert wrong(ledger) == {"closed": 3}
    assert ledger.closes == {"1008 too many frames": 2, "without a word": 1}


def test_defects_are_listed_pair_by_pair() -> None:
    ledger, recorder = recorded(2, pairs=3)
    all_is_well(ledger, recorder)
    recorder.arrived(name(ledger, 0, pair=1))
    assert ledger.per_pair() == [{"pair": 1, "sent": 2, "doubled": 1}]


def test_only_what_is_new_is_passed_on() -> None:
    ledger = Ledger(1)
    ledger.next_id(0)
    arrived: list[tuple[int, int]] = []
    receipts: list[tuple[int, int]] = []
    recorder = Recorder(
        ledger,
        lambda *pair_and_number: arrived.append(pair_and_number),
        lambda *pair_and_number: receipts.append(pair_and_number),
    )
    for _ in range(2):
        recorder.arrived(name(ledger, 0))
        recorder.receipt(name(ledger, 0))
    assert arrived == receipts == [(0, 0)]


def test_runs_do_not_share_message_ids() -> None:
    assert Ledger(1).next_id(0) != Ledger(1).next_id(0)


@given(st.lists(st.integers(0, 12)))
def test_a_sequence_counts_like_a_plain_list(numbers: list[int]) -> None:
    sequence, seen = Sequence(), list[int]()
    reordered = doubled = 0
    for number in numbers:
        assert sequence.add(number) == (number not in seen)
        doubled += number in seen
        reordered += number not in seen and any(earlier > number for earlier in seen)
        seen.append(number)
    assert (sequence.doubled, sequence.reordered) == (doubled, reordered)
    assert sequence.missing(13) == len(set(range(13)) - set(seen))
    assert sequence.missing(13, {5}) == len(set(range(13)) - set(seen) - {5})


def test_the_text_of_defects_names_each_kind() -> None:
    assert Defects(lost=2, doubled=1).text() == "2 lost, 1 doubled"
