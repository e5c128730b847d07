"""I4: the check catches every false or missing receipt, and accepts the nearest good history."""

import pytest

from tests.support.histories import HistoryBuilder
from tools.chaos.checker.chats import i4_receipts
from tools.chaos.history import Event


@pytest.fixture
def builder() -> HistoryBuilder:
    """Asha (a) sent the chat m1, and it arrived at Ravi (b)."""
    builder = HistoryBuilder().connect("a", "b", "c")
    builder.send("a", "b", "m1")
    builder.sent("a", "b", "m1")
    builder.delivered("a", "b", "m1")
    return builder


def sentences(history: list[Event]) -> list[str]:
    return [violation.sentence for violation in i4_receipts(history)]


def test_accepts_the_usual_course_repetitions_and_a_late_delivered(builder: HistoryBuilder) -> None:
    builder.ack("b", "m1")
    builder.receipt("a", "b", "m1")
    builder.read("a", "b", "m1")
    builder.receipt("a", "b", "m1", "read")
    builder.receipt("a", "b", "m1")
    assert not sentences(builder.drained())


def test_catches_a_receipt_before_the_ack(builder: HistoryBuilder) -> None:
    builder.receipt("a", "b", "m1")
    builder.ack("b", "m1")
    assert sentences(builder.drained()) == ["m1 from a to b got a `delivered` receipt without an acknowledgement"]


def test_catches_a_receipt_for_an_ack_of_somebody_elses(builder: HistoryBuilder) -> None:
    builder.ack("c", "m1", forged=True)
    builder.receipt("a", "b", "m1")
    assert sentences(builder.drained()) == ["m1 from a to b got a `delivered` receipt without an acknowledgement"]


def test_catches_a_receipt_from_somebody_the_chat_was_not_for(builder: HistoryBuilder) -> None:
    builder.ack("b", "m1")
    builder.receipt("a", "b", "m1")
    builder.receipt("a", "c", "m1")
    assert sentences(builder.drained()) == ["m1 from a to c got a `delivered` receipt without an acknowledgement"]


def test_catches_read_that_nobody_read(builder: HistoryBuilder) -> None:
    builder.ack("b", "m1")
    builder.receipt("a", "b", "m1", "read")
    assert sentences(builder.drained()) == ["m1 from a to b got a `read` receipt without an acknowledgement"]


def test_a_read_implies_that_it_was_delivered(builder: HistoryBuilder) -> None:
    builder.read("a", "b", "m1")
    builder.receipt("a", "b", "m1")
    assert not sentences(builder.drained())


def test_catches_expired_after_delivered(builder: HistoryBuilder) -> None:
    builder.ack("b", "m1")
    builder.receipt("a", "b", "m1")
    builder.receipt("a", "b", "m1", "expired")
    assert sentences(builder.drained()) == ["m1 from a to b got a `delivered` receipt, and then an `expired` one"]


def test_accepts_delivered_after_expired(builder: HistoryBuilder) -> None:
    builder.receipt("a", "b", "m1", "expired")
    builder.ack("b", "m1")
    builder.receipt("a", "b", "m1")
    assert not sentences(builder.drained())


def test_catches_an_ack_that_never_made_its_receipt(builder: HistoryBuilder) -> None:
    builder.ack("b", "m1")
    assert sentences(builder.drained()) == ["m1 from a to b was acknowledged, and no receipt ever arrived"]


def test_an_unacked_chat_and_a_liars_ack_owe_no_receipt(builder: HistoryBuilder) -> None:
    builder.ack("b", "m1", forged=True)
    assert not sentences(builder.drained())


@pytest.mark.parametrize("peer", ["a", "b"])
def test_a_loss_of_either_mailbox_that_was_told_excuses_a_missing_receipt(builder: HistoryBuilder, peer: str) -> None:
    builder.ack("b", "m1")
    builder.record("resync", mobile=peer, connection=builder.connections[peer], epoch="e2")
    assert not sentences(builder.drained())


def test_a_missing_receipt_is_excused_by_a_block_after_the_delivery_only(
    builder: HistoryBuilder,
) -> None:
    builder.ack("b", "m1")
    builder.request("block", "b", peer="a")
    assert not sentences(builder.drained())

    earlier = HistoryBuilder().connect("a", "b")
    earlier.request("block", "b", peer="a")
    earlier.request("unblock", "b", peer="a")
    earlier.send("a", "b", "m2")
    earlier.delivered("a", "b", "m2")
    earlier.ack("b", "m2")
    assert len(sentences(earlier.drained())) == 1
