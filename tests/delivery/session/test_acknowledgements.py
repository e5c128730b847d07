"""Rounds of receipts, and pings that confirm receipts."""

import pytest

from delivery.in_flight import NEVER, Acknowledged, on_beat
from delivery.session import acknowledgements as module
from delivery.session.acknowledgements import Acknowledgements
from delivery.session.effects import FindUnread, NoteDelivered, SendReceipt
from tests.support.messaging import ASHA, EVE


def acknowledged(*numbers: int, sender: str = ASHA) -> list[Acknowledged]:
    return [Acknowledged(f"5-{n}", sender, f"m-{n}") for n in numbers]


def told(effects: list) -> list[tuple[str, list[str]]]:  # type: ignore[type-arg]
    return [(effect.sender, effect.message_ids) for effect in effects]


def test_each_sender_gets_one_receipt_for_what_was_acknowledged_together() -> None:
    receipts = Acknowledgements(256)
    assert receipts.due == NEVER
    receipts.add_delivered(acknowledged(1, 2), 10.0)
    receipts.add_delivered(acknowledged(3, sender=EVE), 10.0)
    assert (receipts.due, receipts.pending) == (10.0, 3)
    effects = receipts.begin(10.0, shared=False)
    assert told(effects) == [(ASHA, ["m-1", "m-2"]), (EVE, ["m-3"])]
    assert all(isinstance(effect, SendReceipt) and effect.kind == "delivered" for effect in effects)
    assert receipts.due == NEVER
    assert receipts.next(10.0) == []
    assert receipts.pending == 3, "one sender is not told yet"
    assert receipts.next(10.0) == []
    assert receipts.pending == 0


def test_what_comes_during_a_round_goes_together_in_the_next_after_a_pause() -> None:
    receipts = Acknowledgements(256)
    receipts.add_delivered(acknowledged(1), 10.0)
    receipts.begin(10.0, shared=False)
    receipts.add_delivered(acknowledged(2), 10.001)
    assert receipts.due == NEVER, "one round at a time"
    receipts.next(10.002)
    assert receipts.due == 10.002 + module.PAUSE_FACTOR * (10.002 - 10.0)
    receipts.add_delivered(acknowledged(3), 10.003)
    assert receipts.due > 10.003
    assert told(receipts.begin(receipts.due, shared=False)) == [(ASHA, ["m-2", "m-3"])]


def test_a_pause_is_bounded_and_ends_when_there_is_enough_to_tell() -> None:
    receipts = Acknowledgements(256)
    receipts.add_delivered(acknowledged(1), 10.0)
    receipts.begin(10.0, shared=False)
    receipts.next(19.0)
    receipts.add_delivered(acknowledged(2), 19.0)
    assert receipts.due == 19.0 + module.LONGEST_PAUSE
    receipts.add_delivered(acknowledged(*range(3, 2 + module.ENOUGH_CHATS)), 19.001)
    assert receipts.due == 19.001


def test_reads_are_told_after_the_deliveries_before_them() -> None:
    receipts = Acknowledgements(256)
    receipts.add_read(ASHA, ["m-1", "m-2"], 10.0)
    receipts.add_delivered(acknowledged(1), 10.0)
    receipts.add_read(ASHA, ["m-2", "m-3"], 10.0)
    receipts.add_read(EVE, ["m-4"], 10.0)
    assert receipts.pending == 4
    (first,) = receipts.begin(10.0, shared=False)
    assert isinstance(first, SendReceipt)
    reads = receipts.next(10.0)
    assert told(reads) == [(ASHA, ["m-1", "m-2", "m-3"]), (EVE, ["m-4"])]
    assert all(isinstance(read, FindUnread) for read in reads)
    receipts.next(10.0)
    receipts.next(10.0)
    assert receipts.pending == 0


def test_a_round_without_deliveries_begins_with_the_reads() -> None:
    receipts = Acknowledgements(256)
    receipts.add_read(ASHA, ["m-1"], 10.0)
    assert told(receipts.begin(10.0, shared=False)) == [(ASHA, ["m-1"])]
    receipts.next(10.0)
    assert receipts.pending == 0


def test_many_names_go_in_several_scripts() -> None:
    receipts, many = Acknowledgements(256), 2 * module.MOST_NAMES + 1
    receipts.add_delivered(acknowledged(*range(many)), 10.0)
    receipts.add_read(ASHA, [f"m-{n}" for n in range(many)], 10.0)
    effects = receipts.begin(10.0, shared=False)
    sizes = [module.MOST_NAMES, module.MOST_NAMES, 1]
    assert [len(names) for _, names in told(effects)] == sizes
    assert [len(effect.ids) for effect in effects if isinstance(effect, SendReceipt)] == sizes
    reads = [effect for _ in effects for effect in receipts.next(10.0)]
    assert [len(names) for _, names in told(reads)] == sizes


def test_with_several_devices_it_is_noted_first_what_the_sender_knows() -> None:
    receipts = Acknowledgements(256)
    receipts.add_delivered(acknowledged(1), 10.0)
    (note,) = receipts.begin(10.0, shared=True)
    assert isinstance(note, NoteDelivered)
    assert (note.state, note.receipt.message_ids, note.receipt.ids) == ("a", ["m-1"], ["5-1"])


def test_after_a_drop_nothing_is_pending_whatever_is_answered_later() -> None:
    receipts = Acknowledgements(256)
    receipts.add_delivered(acknowledged(1), 10.0)
    receipts.add_delivered(acknowledged(2, sender=EVE), 10.0)
    receipts.begin(10.0, shared=False)
    receipts.add_read(ASHA, ["m-1"], 10.0)
    receipts.drop()
    assert (receipts.pending, receipts.due, receipts.next(10.0), receipts.next(10.0)) == (0, NEVER, [], [])
    receipts.add_delivered(acknowledged(3), 10.0)
    assert told(receipts.begin(10.0, shared=False)) == [(ASHA, ["m-3"])]
    receipts.next(10.0)
    assert receipts.pending == 0


def test_receipts_are_confirmed_by_the_pong_of_a_later_ping() -> None:
    confirmations = Acknowledgements(256)
    confirmations.add_unconfirmed(["5-1", "5-2"], 10.0)
    assert confirmations.ping_due == 10.0
    confirmations.begin_ping(10.0)
    confirmations.add_unconfirmed(["5-3"], 10.0)
    assert confirmations.ping_due == NEVER, "one ping at a time"
    confirmations.pinged(7)
    assert confirmations.ponged(6, 10.01) == [], "that pong answers an earlier ping"
    assert confirmations.ponged(7, 10.01) == ["5-1", "5-2"]
    assert confirmations.ping_due == on_beat(10.0 + module.CONFIRM_SECONDS)
    assert confirmations.ponged(8, 10.01) == []
    confirmations.begin_ping(confirmations.ping_due)
    confirmations.pinged(8)
    assert confirmations.ponged(9, 10.2) == ["5-3"]
    assert confirmations.ping_due == NEVER


@pytest.mark.parametrize(("window", "many"), [(256, module.MANY_RECEIPTS), (32, 8), (1, 1)])
def test_pings_for_receipts_keep_a_distance_unless_there_are_many(window: int, many: int) -> None:
    confirmations = Acknowledgements(window)
    confirmations.add_unconfirmed(["5-0"], 10.0)
    confirmations.begin_ping(10.0)
    confirmations.pinged(1)
    confirmations.ponged(1, 10.0)
    confirmations.add_unconfirmed([f"6-{n}" for n in range(many - 1)], 10.0)
    assert confirmations.ping_due > 10.0
    confirmations.add_unconfirmed(["7-0"], 10.0)
    assert confirmations.ping_due == 10.0


def test_a_ping_that_is_not_for_receipts_confirms_none() -> None:
    confirmations = Acknowledgements(256)
    confirmations.pinged(1)
    confirmations.add_unconfirmed(["5-0"], 10.0)
    assert confirmations.ponged(1, 10.0) == []
