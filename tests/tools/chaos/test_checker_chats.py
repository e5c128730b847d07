"""I1, I1b, I2, I3, I8: each catches a bad history, and lets the nearest good one pass."""

from typing import Any

import pytest

from tools.chaos.checker.chats import i1_kept, i1b_at_most_once, i2_once, i3_order, i8_authentic
from tools.chaos.checker.report import Violation
from tools.chaos.history import Event
from tools.chaos.speech import SEED
from tools.chaos.story import Story


@pytest.fixture
def story() -> Story:
    """Asha (a), Ravi (b) and Chen (c) are connected."""
    return Story().connect("a", "b", "c")


def sentences(violations: list[Violation]) -> list[str]:
    return [violation.sentence for violation in violations]


# ---- I1


def lost(story: Story) -> None:
    story.send("a", "b", "m1")
    story.sent("a", "b", "m1")


def test_i1_catches_a_chat_that_got_sent_and_never_came(story: Story) -> None:
    lost(story)
    (violation,) = i1_kept(story.drained())
    assert violation.sentence == "m1 from a to b got `sent` and never came"
    assert [event.kind for event in violation.excerpt] == ["send", "answer"]


def test_i1_asks_nothing_of_a_chat_without_an_answer_or_with_a_refusal(story: Story) -> None:
    story.send("a", "b", "m1")
    story.send("a", "b", "m2")
    story.refused("a", "b", "m2")
    assert not i1_kept(story.chat("a", "b", "m3").drained())


def test_i1_lets_expire_what_its_sender_was_told_of(story: Story) -> None:
    lost(story)
    story.receipt("a", "b", "m1", "expired")
    assert not i1_kept(story.drained())


def test_i1_lets_a_block_withhold(story: Story) -> None:
    story.ask("block", "b", whom="a")
    lost(story)
    assert not i1_kept(story.drained())


def test_i1_knows_that_a_block_before_the_chat_or_the_other_way_round_withholds_nothing(story: Story) -> None:
    story.ask("block", "b", whom="a")
    story.ask("unblock", "b", whom="a")
    story.ask("block", "a", whom="b")
    lost(story)
    assert i1_kept(story.drained())


def test_i1_takes_an_unanswered_block_for_one_that_may_come_at_any_time(story: Story) -> None:
    story.ask("block", "b", whom="a", status=0)
    story.ask("block", "b", whom="a")
    story.ask("unblock", "b", whom="a")
    lost(story)
    assert not i1_kept(story.drained())


def test_i1_excuses_a_loss_that_was_told(story: Story) -> None:
    lost(story)
    story.note("resync", who="b", connection=story.connections["b"], epoch="e2")
    assert not i1_kept(story.drained())


def test_i1_does_not_excuse_what_was_sent_after_the_loss_was_told_or_what_another_was_told(story: Story) -> None:
    story.note("resync", who="b", connection=story.connections["b"], epoch="e2")
    lost(story)
    story.note("resync", who="c", connection=story.connections["c"], epoch="e2")
    assert i1_kept(story.drained())


def test_i1_excuses_by_the_epoch_of_a_hello_only_if_it_changed(story: Story) -> None:
    lost(story)
    assert i1_kept([*story.leave("b").connect("b").events, story.drained()[-1]])
    story.epoch = "e2"
    assert not i1_kept(story.leave("b").connect("b").drained())


def test_i1_knows_that_a_seed_client_is_not_told_when_it_connects_anew() -> None:
    story = Story().connect("a").connect("b", dialect=SEED)
    lost(story)
    assert i1_kept(list(story.drained()))
    assert not i1_kept(story.fault("flushall", 0, loses_storage=True).drained())


def test_i1_does_not_excuse_who_could_have_been_told_and_was_not(story: Story) -> None:
    lost(story)
    assert i1_kept(story.fault("flushall", 0, loses_storage=True).drained())


# ---- I1b, I2


def doubled(story: Story, *, sent: bool, epoch: str = "e1") -> list[Event]:
    story.send("a", "b", "m1")
    story.came("a", "b", "m1", epoch="e1")
    story.send("a", "b", "m1", attempt=2)
    if sent:
        story.sent("a", "b", "m1")
    if epoch != "e1":
        story.note("resync", who="b", connection=story.connections["b"], epoch=epoch)
    story.came("a", "b", "m1", stream_id="5001-0", epoch=epoch, known=True)
    return story.drained()


def test_i1b_catches_an_unanswered_chat_that_came_as_two_entries(story: Story) -> None:
    history = doubled(story, sent=False)
    (violation,) = i1b_at_most_once(history)
    assert [event.kind for event in violation.excerpt] == ["send", "delivery", "delivery"]
    assert not i2_once(history)


def test_i1b_lets_an_unanswered_chat_come_once_or_not_at_all(story: Story) -> None:
    story.send("a", "b", "m1")
    story.send("a", "b", "m2")
    story.came("a", "b", "m2")
    story.came("a", "b", "m2", known=True)
    assert not i1b_at_most_once(story.drained())


def test_i2_catches_a_repeated_chat_that_came_as_two_entries(story: Story) -> None:
    history = doubled(story, sent=True)
    assert sentences(i2_once(history)) == ["m1 from a to b came twice, as two entries"]
    assert not i1b_at_most_once(history)


def test_i2_lets_an_entry_come_again_with_its_stream_id(story: Story) -> None:
    story.chat("a", "b", "m1")
    story.came("a", "b", "m1", known=True)
    assert not i2_once(story.drained())


def test_i2_excuses_a_second_entry_after_a_loss_that_was_told(story: Story) -> None:
    assert not i2_once(doubled(story, sent=True, epoch="e2"))
    assert not i1b_at_most_once(doubled(Story().connect("a", "b"), sent=False, epoch="e2"))


def test_i2_catches_another_answer_to_a_repetition(story: Story) -> None:
    story.chat("a", "b", "m1")
    story.send("a", "b", "m1", attempt=2)
    story.sent("a", "b", "m1")
    assert not i2_once(list(story.events))
    story.sent("a", "b", "m1", timestamp=story.place("m1") + 7)
    assert sentences(i2_once(story.drained())) == ["m1 from a to b was repeated and got another answer"]


def test_i2_excuses_another_answer_after_a_loss_that_was_told(story: Story) -> None:
    story.chat("a", "b", "m1")
    story.note("resync", who="b", connection=story.connections["b"], epoch="e2")
    story.send("a", "b", "m1", attempt=2)
    story.sent("a", "b", "m1", timestamp=story.place("m1") + 7)
    assert not i2_once(story.drained())


def test_i2_catches_an_entry_that_is_not_the_one_sent_spoke_of(story: Story) -> None:
    story.send("a", "b", "m1")
    story.sent("a", "b", "m1", timestamp=story.place("m1") - 1)
    story.came("a", "b", "m1")
    assert sentences(i2_once(story.drained())) == ["m1 from a to b came as another entry than `sent` spoke of"]


# ---- I3


def two_chats(story: Story, *, waits: bool, swapped: bool) -> list[Event]:
    story.send("a", "b", "m1")
    if waits:
        story.sent("a", "b", "m1")
    story.send("a", "b", "m2")
    if not waits:
        story.sent("a", "b", "m1")
    story.sent("a", "b", "m2")
    for message_id in ("m2", "m1") if swapped else ("m1", "m2"):
        story.came("a", "b", message_id, connection=0 if message_id == "m2" else 99)  # each on a connection of its own
    return story.drained()


def test_i3_catches_a_chat_seen_before_one_that_had_got_sent_before_it_was_begun(story: Story) -> None:
    (violation,) = i3_order(two_chats(story, waits=True, swapped=True))
    assert "m2 was begun after m1 had got `sent`, and was seen before it" in violation.sentence
    assert [event.message_id for event in violation.excerpt] == ["m1", "m1", "m2", "m2", "m1"]


def test_i3_accepts_the_right_order(story: Story) -> None:
    assert not i3_order(two_chats(story, waits=True, swapped=False))
    assert not i3_order(two_chats(Story().connect("a", "b"), waits=False, swapped=False))


def together(story: Story, *, refused: bool = False, elsewhere: bool = False, again: str = "") -> list[Event]:
    """Two chats begun one after the other, without waiting for answers; they come in the other order."""
    first = story.connections["a"]
    story.send("a", "b", "m1")
    if elsewhere:
        story.leave("a").connect("a")
    if again == "m2":
        story.send("a", "b", "m2")
        story.leave("a").connect("a")
        story.send("a", "b", "m1", attempt=2)
    story.send("a", "b", "m2", attempt=2 if again == "m2" else 1)
    story.sent("a", "b", "m2", timestamp=7)
    if refused:  # perhaps it was stored all the same
        story.refused("a", "b", "m1")
    else:
        story.sent("a", "b", "m1", timestamp=8, connection=first if elsewhere else story.connections["a"])
    if again == "m1":
        story.send("a", "b", "m1", attempt=2)
        story.sent("a", "b", "m1", timestamp=9)
    for n, message_id in enumerate(("m2", "m1")):
        story.came("a", "b", message_id, stream_id=f"{7 + n}-0")
    return story.drained()


def test_i3_catches_chats_begun_together_on_one_connection_in_the_wrong_order(story: Story) -> None:
    (violation,) = i3_order(together(story))
    assert "m2 was begun after m1 on one connection, and was seen before it" in violation.sentence
    assert [(event.kind, event.message_id) for event in violation.excerpt] == [
        ("send", "m1"),
        ("send", "m2"),
        ("delivery", "m2"),
        ("delivery", "m1"),
    ]


@pytest.mark.parametrize("excuse", [{"refused": True}, {"elsewhere": True}, {"again": "m1"}, {"again": "m2"}], ids=str)
def test_i3_lets_a_chat_overtake_one_that_was_refused_or_tried_elsewhere_or_again(
    story: Story, excuse: dict[str, Any]
) -> None:
    assert not i3_order(together(story, **excuse))


def test_i3_compares_the_first_sight_and_not_a_redelivery(story: Story) -> None:
    story.chat("a", "b", "m1", "m2")
    story.came("a", "b", "m1", known=True)
    assert not i3_order(story.drained())


def test_i3_finds_the_overtaken_one_among_many(story: Story) -> None:
    for message_id in ("m1", "m2", "m3", "m4"):
        story.send("a", "b", message_id)
        story.sent("a", "b", message_id)
    for number, message_id in enumerate(("m1", "m3", "m2", "m4")):
        story.came("a", "b", message_id, connection=100 + number)
    assert len(i3_order(story.drained())) == 1


def test_i3_compares_with_the_one_that_was_seen_last(story: Story) -> None:
    story.send("a", "b", "m1")
    story.leave("a").connect("a")  # m1 and m2 may be stored in either order
    story.send("a", "b", "m2")
    story.sent("a", "b", "m1")
    story.sent("a", "b", "m2")
    story.send("a", "b", "m3")
    for number, message_id in enumerate(("m2", "m3", "m1")):
        story.came("a", "b", message_id, connection=100 + number)
    (violation,) = i3_order(story.drained())
    assert "m3 was begun after m1" in violation.sentence


def test_i3_does_not_compare_conversations(story: Story) -> None:
    story.send("a", "b", "m1")
    story.sent("a", "b", "m1")
    story.chat("c", "b", "m2")
    story.came("a", "b", "m1", stream_id="9999-0")
    assert not i3_order(story.drained())


def test_i3_catches_a_new_entry_with_a_lower_stream_id_on_one_connection(story: Story) -> None:
    story.came("a", "b", "m2", stream_id="10-0")
    story.came("c", "b", "m3", stream_id="9-5")
    assert "a new entry came after one with a higher streamId" in i3_order(story.drained())[0].sentence


def test_i3_compares_stream_ids_as_numbers_and_lets_known_ones_and_those_after_a_resync_fall(story: Story) -> None:
    story.came("a", "b", "m1", stream_id="9-9")
    story.came("a", "b", "m2", stream_id="9-10")
    story.came("a", "b", "m1", stream_id="9-9", known=True)
    story.note("resync", who="b", connection=story.connections["b"], epoch="e2")
    story.came("a", "b", "m3", stream_id="8-0")
    assert not i3_order(story.drained())


# ---- I8


def test_i8_accepts_what_was_written(story: Story) -> None:
    assert not i8_authentic(story.chat("a", "b", "m1").drained())


def test_i8_catches_a_false_sender(story: Story) -> None:
    story.send("a", "b", "m1")
    story.came("c", "b", "m1")
    assert sentences(i8_authentic(story.drained())) == ["m1 came to b as from c, and a wrote it"]


def test_i8_catches_an_altered_text(story: Story) -> None:
    story.send("a", "b", "m1")
    story.came("a", "b", "m1", digest="other")
    assert sentences(i8_authentic(story.drained())) == ["m1 came altered to b"]


def test_i8_catches_what_nobody_wrote_to_whoever_got_it(story: Story) -> None:
    story.send("a", "b", "m1")
    story.came("a", "c", "m1")
    assert sentences(i8_authentic(story.drained())) == ["m1 came to c and nobody had written it"]
