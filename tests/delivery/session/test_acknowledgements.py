"""Rounds of receipts, the queue of settlements, and pings that confirm receipts."""

from delivery.in_flight import Acknowledged, ToSettle
from delivery.session import acknowledgements as module
from delivery.session.acknowledgements import Confirmations, Receipts, SettlementQueue
from delivery.session.effects import FindUnread, NoteDelivered, SendReceipt
from tests.support.messaging import ASHA, EVE

NEVER = module.NEVER


def acknowledged(*numbers: int, sender: str = ASHA) -> list[Acknowledged]:
    return [Acknowledged(f"5-{n}", sender, f"m-{n}") for n in numbers]


def told(effects: list) -> list[tuple[str, list[str]]]:  # type: ignore[type-arg]
    return [(effect.sender, effect.message_ids) for effect in effects]


def test_each_sender_gets_one_receipt_for_what_was_acknowledged_together() -> None:
    receipts = Receipts()
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
    receipts = Receipts()
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
    receipts = Receipts()
    receipts.add_delivered(acknowledged(1), 10.0)
    receipts.begin(10.0, shared=False)
    receipts.next(19.0)
    receipts.add_delivered(acknowledged(2), 19.0)
    assert receipts.due == 19.0 + module.LONGEST_PAUSE
    receipts.add_delivered(acknowledged(*range(3, 2 + module.ENOUGH_CHATS)), 19.001)
    assert receipts.due == 19.001


def test_reads_are_told_after_the_deliveries_before_them() -> None:
    receipts = Receipts()
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
    receipts = Receipts()
    receipts.add_read(ASHA, ["m-1"], 10.0)
    assert told(receipts.begin(10.0, shared=False)) == [(ASHA, ["m-1"])]
    receipts.next(10.0)
    assert receipts.pending == 0


def test_many_names_go_in_several_scripts() -> None:
    receipts, many = Receipts(), 2 * module.MOST_NAMES + 1
    receipts.add_delivered(acknowledged(*range(many)), 10.0)
    receipts.add_read(ASHA, [f"m-{n}" for n in range(many)], 10.0)
    effects = receipts.begin(10.0, shared=False)
    sizes = [module.MOST_NAMES, module.MOST_NAMES, 1]
    assert [len(names) for _, names in told(effects)] == sizes
    assert [len(effect.ids) for effect in effects if isinstance(effect, SendReceipt)] == sizes
    reads = [effect for _ in effects for effect in receipts.next(10.0)]
    assert [len(names) for _, names in told(reads)] == sizes


def test_with_several_devices_it_is_noted_first_what_the_sender_knows() -> None:
    receipts = Receipts()
    receipts.add_delivered(acknowledged(1), 10.0)
    (note,) = receipts.begin(10.0, shared=True)
    assert isinstance(note, NoteDelivered)
    assert (note.state, note.receipt.message_ids, note.receipt.ids) == ("a", ["m-1"], ["5-1"])


def test_after_a_drop_nothing_is_pending_whatever_is_answered_later() -> None:
    receipts = Receipts()
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


def entries(*numbers: int) -> list[ToSettle]:
    return [ToSettle(f"5-{n}", ASHA, 5) for n in numbers]


def test_settlements_wait_for_company() -> None:
    queue = SettlementQueue()
    queue.put([], 10.0)
    assert queue.due == NEVER
    queue.put(entries(1), 10.0)
    queue.put(entries(2), 10.04)
    assert queue.due == 10.0 + module.SETTLE_SECONDS
    assert queue.take() == entries(1, 2)
    assert (queue.take(), queue.due, len(queue)) == ([], NEVER, 0)


def test_settlements_that_failed_come_first_and_later() -> None:
    queue = SettlementQueue()
    queue.put(entries(1, 2), 10.0)
    taken = queue.take()
    queue.put(entries(3), 10.0)
    queue.put_back(taken, 10.0)
    assert queue.due == 10.0 + module.RETRY_SECONDS
    assert queue.take() == entries(1, 2, 3)
    queue.put_back([], 10.0)
    assert queue.due == NEVER


def test_no_more_than_so_many_are_settled_at_once() -> None:
    queue = SettlementQueue()
    queue.put(entries(*range(module.MOST_SETTLED + 1)), 10.0)
    assert len(queue.take()) == module.MOST_SETTLED
    assert queue.due < NEVER
    assert len(queue.take()) == 1


def test_an_empty_take_is_not_changed_by_later_settlements() -> None:
    queue = SettlementQueue()
    taken = queue.take()
    queue.put(entries(1), 10.0)
    assert taken == []


def test_receipts_are_confirmed_by_the_pong_of_a_later_ping() -> None:
    confirmations = Confirmations()
    confirmations.add(["5-1", "5-2"], 10.0)
    assert confirmations.due == 10.0
    confirmations.begin_ping(10.0)
    confirmations.add(["5-3"], 10.0)
    assert confirmations.due == NEVER, "one ping at a time"
    confirmations.pinged(7)
    assert confirmations.ponged(6, 10.01) == [], "that pong answers an earlier ping"
    assert confirmations.ponged(7, 10.01) == ["5-1", "5-2"]
    assert confirmations.due == 10.0 + module.CONFIRM_SECONDS
    assert confirmations.ponged(8, 10.01) == []
    confirmations.begin_ping(confirmations.due)
    confirmations.pinged(8)
    assert confirmations.ponged(9, 10.2) == ["5-3"]
    assert confirmations.due == NEVER


def test_pings_for_receipts_keep_a_distance_unless_there_are_many() -> None:
    confirmations = Confirmations()
    confirmations.add(["5-0"], 10.0)
    confirmations.begin_ping(10.0)
    confirmations.pinged(1)
    confirmations.ponged(1, 10.0)
    confirmations.add([f"6-{n}" for n in range(module.MANY_RECEIPTS - 1)], 10.0)
    assert confirmations.due > 10.0
    confirmations.add(["7-0"], 10.0)
    assert confirmations.due == 10.0


def test_a_ping_that_is_not_for_receipts_confirms_none() -> None:
    confirmations = Confirmations()
    confirmations.pinged(1)
    confirmations.add(["5-0"], 10.0)
    assert confirmations.ponged(1, 10.0) == []
