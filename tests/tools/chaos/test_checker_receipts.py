"""I4: catches every kind of false or missing tick, and lets the nearest good history pass."""

import pytest

from tools.chaos.checker.receipts import i4_receipts
from tools.chaos.history import Event
from tools.chaos.story import Story


@pytest.fixture
def story() -> Story:
    """Asha's chat m1 has come to Ravi."""
    story = Story().connect("a", "b", "c")
    story.send("a", "b", "m1")
    story.sent("a", "b", "m1")
    story.came("a", "b", "m1")
    return story


def sentences(history: list[Event]) -> list[str]:
    return [violation.sentence for violation in i4_receipts(history)]


def test_accepts_the_usual_course_repetitions_and_a_late_delivered(story: Story) -> None:
    story.ack("b", "m1")
    story.receipt("a", "b", "m1")
    story.read("a", "b", "m1")
    story.receipt("a", "b", "m1", "read")
    story.receipt("a", "b", "m1")
    assert not sentences(story.drained())


def test_catches_a_receipt_before_the_ack(story: Story) -> None:
    story.receipt("a", "b", "m1")
    story.ack("b", "m1")
    assert sentences(story.drained()) == ["m1 from a to b was told to be delivered, and its addressee had not said so"]


def test_catches_a_receipt_for_an_ack_of_somebody_elses(story: Story) -> None:
    story.ack("c", "m1", forged=True)
    story.receipt("a", "b", "m1")
    assert sentences(story.drained()) == ["m1 from a to b was told to be delivered, and its addressee had not said so"]


def test_catches_a_receipt_from_somebody_the_chat_was_not_for(story: Story) -> None:
    story.ack("b", "m1")
    story.receipt("a", "b", "m1")
    story.receipt("a", "c", "m1")
    assert sentences(story.drained()) == ["m1 from a to c was told to be delivered, and its addressee had not said so"]


def test_catches_read_that_nobody_read(story: Story) -> None:
    story.ack("b", "m1")
    story.receipt("a", "b", "m1", "read")
    assert sentences(story.drained()) == ["m1 from a to b was told to be read, and its addressee had not said so"]


def test_a_read_implies_that_it_was_delivered(story: Story) -> None:
    story.read("a", "b", "m1")
    story.receipt("a", "b", "m1")
    assert not sentences(story.drained())


def test_catches_expired_after_delivered(story: Story) -> None:
    story.ack("b", "m1")
    story.receipt("a", "b", "m1")
    story.receipt("a", "b", "m1", "expired")
    assert sentences(story.drained()) == ["m1 from a to b was told to be delivered, and then expired"]


def test_accepts_delivered_after_expired(story: Story) -> None:
    story.receipt("a", "b", "m1", "expired")
    story.ack("b", "m1")
    story.receipt("a", "b", "m1")
    assert not sentences(story.drained())


def test_catches_an_ack_that_never_made_its_receipt(story: Story) -> None:
    story.ack("b", "m1")
    assert sentences(story.drained()) == ["m1 from a to b was acked, and no receipt ever came"]


def test_an_unacked_chat_and_a_liars_ack_owe_no_receipt(story: Story) -> None:
    story.ack("b", "m1", forged=True)
    assert not sentences(story.drained())


@pytest.mark.parametrize("whom", ["a", "b"])
def test_a_loss_of_either_mailbox_that_was_told_excuses_a_missing_receipt(story: Story, whom: str) -> None:
    story.ack("b", "m1")
    story.note("resync", who=whom, connection=story.connections[whom], epoch="e2")
    assert not sentences(story.drained())


def test_a_block_after_the_delivery_excuses_a_missing_receipt_and_one_before_it_does_not(story: Story) -> None:
    story.ack("b", "m1")
    story.ask("block", "b", whom="a")
    assert not sentences(story.drained())

    earlier = Story().connect("a", "b")
    earlier.ask("block", "b", whom="a")
    earlier.ask("unblock", "b", whom="a")
    earlier.send("a", "b", "m2")
    earlier.came("a", "b", "m2")
    earlier.ack("b", "m2")
    assert len(sentences(earlier.drained())) == 1
