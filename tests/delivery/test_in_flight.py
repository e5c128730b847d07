"""What is in flight: a window of entries, each acknowledged once, sent again while it is not."""

import pytest

from delivery import in_flight as module
from delivery.in_flight import MOST_EARLY_ACKS, NEVER, Acknowledged, InFlightWindow, ToSettle
from protocol.entries import Chat, Entry, Receipt

ASHA = "9200000001"


def chat(n: int) -> Entry:
    return Chat(f"{n}-0", ASHA, f"m-{n}", "hello")


def window_of(*numbers: int, size: int = 4) -> InFlightWindow:
    """These chats are in flight since 100 s."""
    window = InFlightWindow(size)
    for n in numbers:
        window.add(chat(n), 100.0)
    return window


def acknowledged(n: int) -> Acknowledged:
    return Acknowledged(f"{n}-0", ASHA, f"m-{n}")


def test_an_entry_takes_room_until_its_sender_knows_of_the_acknowledgement() -> None:
    window = window_of(1, 2, 3)
    assert (len(window), window.room) == (3, 1)
    window.acknowledge(["1-0"])
    assert (len(window), window.room) == (3, 1)
    window.settle_later(["1-0", "9-0"], 100.0)
    assert window.take_to_settle() == [ToSettle("1-0", ASHA, 5)]
    assert (len(window), window.room) == (2, 2)


def test_there_is_never_less_room_than_none() -> None:
    window = window_of(1, 2, 3, size=2)
    assert (len(window), window.room) == (3, 0)


def test_an_acknowledgement_counts_once_and_only_for_entries_in_flight() -> None:
    window = window_of(1, 2)
    window.add(Receipt("3-0", ASHA, "delivered", ["x-1"]), 100.0)
    assert window.acknowledge(["1-0", "1-0", "3-0", "9-0"]) == ([acknowledged(1)], ["3-0"])
    assert window.acknowledge(["1-0", "2-0", "3-0"]) == ([acknowledged(2)], [])
    window.settle_later(["3-0", "1-0"], 100.0)
    assert window.take_to_settle() == [ToSettle("3-0", "", 0), ToSettle("1-0", ASHA, 5)]
    assert window.acknowledge(["1-0", "3-0"]) == ([], [])


def test_after_a_failure_an_acknowledgement_counts_again() -> None:
    window = window_of(1, 2)
    window.acknowledge(["1-0", "2-0"])
    assert not window.is_unacknowledged("1-0")
    window.reopen(["1-0", "9-0"])
    assert [window.is_unacknowledged(stream_id) for stream_id in ("1-0", "2-0", "9-0")] == [True, False, False]
    assert window.acknowledge(["1-0", "2-0"]) == ([acknowledged(1)], [])


def test_an_acknowledged_entry_is_known_until_it_is_settled() -> None:
    window = window_of(1)
    assert "1-0" in window
    window.settle_later(["1-0"], 100.0)
    assert "1-0" in window, "it is pending in Redis, and must not be sent for that"
    window.forget(["1-0", "9-0"])
    assert "1-0" not in window
    assert "2-0" not in window


def test_a_forgotten_entry_takes_no_room() -> None:
    window = window_of(1, 2)
    window.forget(["1-0"])
    assert (len(window), window.room) == (1, 3)
    assert window.acknowledge(["1-0"]) == ([], [])


def test_overdue_are_entries_sent_long_ago_and_not_acknowledged() -> None:
    window = window_of(1, 2)
    window.add(chat(3), 101.0)
    window.acknowledge(["2-0"])
    assert window.overdue(99.9, 3) == []
    assert window.overdue(100.0, 3) == ["1-0"]
    assert window.overdue(101.0, 3) == ["1-0", "3-0"]
    window.reopen(["2-0"])
    assert window.overdue(100.0, 3) == ["1-0", "2-0"]


def test_an_entry_sent_often_enough_is_not_overdue_any_more() -> None:
    window = window_of(1)
    for now in (200.0, 300.0):
        assert window.overdue(now, 2) == ["1-0"]
        window.add(chat(1), now)
        assert window.overdue(now - 1, 2) == [], "it was just sent"
        assert len(window) == 1
    assert window.overdue(1_000.0, 2) == []
    assert window.acknowledge(["1-0"]) == ([acknowledged(1)], [])


@pytest.mark.parametrize("what", ["an acknowledgement", "a read"])
def test_what_the_client_said_in_vain_begins_the_count_anew(what: str) -> None:
    window = window_of(1)
    for now in (200.0, 300.0):
        window.add(chat(1), now)
    assert window.overdue(1_000.0, 2) == []
    if what == "an acknowledgement":
        window.acknowledge(["1-0"])
        window.reopen(["1-0"])
    else:
        window.count_anew(["1-0", "9-0"])
    for now in (400.0, 500.0):
        assert window.overdue(now, 2) == ["1-0"]
        window.add(chat(1), now)
    assert window.overdue(1_000.0, 2) == []


def test_chats_in_flight_are_found_by_their_sender_and_message_ids() -> None:
    window = window_of(1, 2, 3)
    window.add(Receipt("4-0", ASHA, "delivered", ["x-1"]), 100.0)
    assert window.find(ASHA, ["m-3", "m-1", "m-9"]) == ["1-0", "3-0"]
    assert window.find("9200000002", ["m-1"]) == []
    assert window.find(ASHA, []) == []


def test_early_acknowledgements_name_entries_by_stream_id_or_by_sender_and_message_id() -> None:
    window = InFlightWindow(4)
    window.keep_early_acks(["1-0"])
    window.keep_early_acks([(ASHA, "m-2"), ("9200000002", "m-3")])
    assert [window.is_acknowledged_early(chat(n)) for n in (1, 2, 3)] == [True, True, False]
    window.keep_early_acks(str(n) for n in range(2 * MOST_EARLY_ACKS))
    assert len(window.early_acks or ()) == MOST_EARLY_ACKS
    window.forget_early_acks()
    window.keep_early_acks(["3-0"])
    assert [window.is_acknowledged_early(chat(n)) for n in (1, 3)] == [False, False]


def test_settlements_wait_for_company() -> None:
    window = window_of(1, 2)
    window.settle_later([], 10.0)
    assert window.settle_due == NEVER
    window.settle_later(["1-0"], 10.0)
    window.settle_later(["2-0"], 10.04)
    other = window_of(1)
    other.settle_later(["1-0"], 10.0 + module.BEAT_SECONDS / 2)
    assert window.settle_due == 10.0 + module.SETTLE_SECONDS
    assert other.settle_due == window.settle_due + module.BEAT_SECONDS
    assert [entry.stream_id for entry in window.take_to_settle()] == ["1-0", "2-0"]
    assert (window.take_to_settle(), window.settle_due) == ([], NEVER)


def test_settlements_that_failed_come_first_and_later() -> None:
    window = window_of(1, 2, 3)
    window.settle_later(["1-0", "2-0"], 10.0)
    taken = window.take_to_settle()
    window.settle_later(["3-0"], 10.0)
    window.put_back(taken, 10.0)
    assert window.settle_due == 10.0 + module.RETRY_SECONDS
    assert [entry.stream_id for entry in window.take_to_settle()] == ["1-0", "2-0", "3-0"]
    window.put_back([], 10.0)
    assert window.settle_due == NEVER
    window.put_back(taken, 10.0)
    window.drop_to_settle()
    assert (window.take_to_settle(), window.settle_due) == ([], NEVER)


def test_no_more_than_so_many_are_settled_at_once() -> None:
    window = window_of(*range(module.MOST_SETTLED + 1), size=module.MOST_SETTLED + 1)
    window.settle_later([f"{n}-0" for n in range(module.MOST_SETTLED + 1)], 10.0)
    assert len(window.take_to_settle()) == module.MOST_SETTLED
    assert window.settle_due < NEVER
    assert len(window.take_to_settle()) == 1


def test_an_empty_take_is_not_changed_by_later_settlements() -> None:
    window = window_of(1)
    taken = window.take_to_settle()
    window.settle_later(["1-0"], 10.0)
    assert taken == []
