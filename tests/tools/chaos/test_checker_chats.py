"""I1, I1b, I2, I3, I8: each check catches a bad history, and accepts the nearest good one."""

from typing import Any

import pytest

from tests.support.histories import HistoryBuilder
from tools.chaos.checker.chats import i1_kept, i1b_at_most_once, i2_once, i3_order, i8_authentic
from tools.chaos.checker.report import Violation
from tools.chaos.frames import SEED
from tools.chaos.history import Event


@pytest.fixture
def builder() -> HistoryBuilder:
    """Asha (a), Ravi (b) and Chen (c) are connected."""
    return HistoryBuilder().connect("a", "b", "c")


def sentences(violations: list[Violation]) -> list[str]:
    return [violation.sentence for violation in violations]


# ---- I1


def lost(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.sent("a", "b", "m1")


def test_i1_catches_a_chat_that_got_sent_and_never_came(builder: HistoryBuilder) -> None:
    lost(builder)
    (violation,) = i1_kept(builder.drained())
    assert violation.sentence == "m1 from a to b got `sent` and never arrived"
    assert [event.kind for event in violation.excerpt] == ["send", "answer"]


def test_i1_asks_nothing_of_a_chat_without_an_answer_or_with_a_refusal(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.send("a", "b", "m2")
    builder.refused("a", "b", "m2")
    assert not i1_kept(builder.chat("a", "b", "m3").drained())


def test_i1_lets_expire_what_its_sender_was_told_of(builder: HistoryBuilder) -> None:
    lost(builder)
    builder.receipt("a", "b", "m1", "expired")
    assert not i1_kept(builder.drained())


def test_i1_lets_a_block_withhold(builder: HistoryBuilder) -> None:
    builder.request("block", "b", peer="a")
    lost(builder)
    assert not i1_kept(builder.drained())


def test_i1_is_not_excused_by_a_block_that_ended_or_one_by_the_sender(
    builder: HistoryBuilder,
) -> None:
    builder.request("block", "b", peer="a")
    builder.request("unblock", "b", peer="a")
    builder.request("block", "a", peer="b")
    lost(builder)
    assert i1_kept(builder.drained())


def test_i1_takes_an_unanswered_block_for_one_that_may_come_at_any_time(builder: HistoryBuilder) -> None:
    builder.request("block", "b", peer="a", status=0)
    builder.request("block", "b", peer="a")
    builder.request("unblock", "b", peer="a")
    lost(builder)
    assert not i1_kept(builder.drained())


def test_i1_excuses_a_loss_that_was_told(builder: HistoryBuilder) -> None:
    lost(builder)
    builder.record("resync", mobile="b", connection=builder.connections["b"], epoch="e2")
    assert not i1_kept(builder.drained())


def test_i1_is_not_excused_by_an_earlier_loss_or_one_of_another_person(
    builder: HistoryBuilder,
) -> None:
    builder.record("resync", mobile="b", connection=builder.connections["b"], epoch="e2")
    lost(builder)
    builder.record("resync", mobile="c", connection=builder.connections["c"], epoch="e2")
    assert i1_kept(builder.drained())


def test_i1_excuses_by_the_epoch_of_a_hello_only_if_it_changed(builder: HistoryBuilder) -> None:
    lost(builder)
    assert i1_kept([*builder.leave("b").connect("b").events, builder.drained()[-1]])
    builder.epoch = "e2"
    assert not i1_kept(builder.leave("b").connect("b").drained())


def test_i1_knows_that_a_seed_client_is_not_told_when_it_connects_anew() -> None:
    builder = HistoryBuilder().connect("a").connect("b", dialect=SEED)
    lost(builder)
    assert i1_kept(list(builder.drained()))
    assert not i1_kept(builder.fault("flushall", 0, loses_storage=True).drained())


def test_i1_does_not_excuse_who_could_have_been_told_and_was_not(builder: HistoryBuilder) -> None:
    lost(builder)
    assert i1_kept(builder.fault("flushall", 0, loses_storage=True).drained())


# ---- I1b, I2


def doubled(builder: HistoryBuilder, *, sent: bool, epoch: str = "e1") -> list[Event]:
    builder.send("a", "b", "m1")
    builder.delivered("a", "b", "m1", epoch="e1")
    builder.send("a", "b", "m1", attempt=2)
    if sent:
        builder.sent("a", "b", "m1")
    if epoch != "e1":
        builder.record("resync", mobile="b", connection=builder.connections["b"], epoch=epoch)
    builder.delivered("a", "b", "m1", stream_id="5001-0", epoch=epoch, duplicate=True)
    return builder.drained()


def test_i1b_catches_an_unanswered_chat_that_came_as_two_entries(builder: HistoryBuilder) -> None:
    history = doubled(builder, sent=False)
    (violation,) = i1b_at_most_once(history)
    assert [event.kind for event in violation.excerpt] == ["send", "delivery", "delivery"]
    assert not i2_once(history)


def test_i1b_lets_an_unanswered_chat_come_once_or_not_at_all(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.send("a", "b", "m2")
    builder.delivered("a", "b", "m2")
    builder.delivered("a", "b", "m2", duplicate=True)
    assert not i1b_at_most_once(builder.drained())


def test_i2_catches_a_repeated_chat_that_came_as_two_entries(builder: HistoryBuilder) -> None:
    history = doubled(builder, sent=True)
    assert sentences(i2_once(history)) == ["m1 from a to b arrived twice, as two entries"]
    assert not i1b_at_most_once(history)


def test_i2_lets_an_entry_come_again_with_its_stream_id(builder: HistoryBuilder) -> None:
    builder.chat("a", "b", "m1")
    builder.delivered("a", "b", "m1", duplicate=True)
    assert not i2_once(builder.drained())


def test_i2_excuses_a_second_entry_after_a_loss_that_was_told(builder: HistoryBuilder) -> None:
    assert not i2_once(doubled(builder, sent=True, epoch="e2"))
    assert not i1b_at_most_once(doubled(HistoryBuilder().connect("a", "b"), sent=False, epoch="e2"))


def test_i2_catches_another_answer_to_a_repetition(builder: HistoryBuilder) -> None:
    builder.chat("a", "b", "m1")
    builder.send("a", "b", "m1", attempt=2)
    builder.sent("a", "b", "m1")
    assert not i2_once(list(builder.events))
    builder.sent("a", "b", "m1", timestamp=builder.stored_ms("m1") + 7)
    assert sentences(i2_once(builder.drained())) == ["m1 from a to b was repeated and got another answer"]


def test_i2_excuses_another_answer_after_a_loss_that_was_told(builder: HistoryBuilder) -> None:
    builder.chat("a", "b", "m1")
    builder.record("resync", mobile="b", connection=builder.connections["b"], epoch="e2")
    builder.send("a", "b", "m1", attempt=2)
    builder.sent("a", "b", "m1", timestamp=builder.stored_ms("m1") + 7)
    assert not i2_once(builder.drained())


def test_i2_catches_an_entry_that_is_not_the_one_sent_spoke_of(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.sent("a", "b", "m1", timestamp=builder.stored_ms("m1") - 1)
    builder.delivered("a", "b", "m1")
    assert sentences(i2_once(builder.drained())) == ["m1 from a to b arrived as another entry than the one in `sent`"]


# ---- I3


def two_chats(builder: HistoryBuilder, *, waits: bool, swapped: bool) -> list[Event]:
    builder.send("a", "b", "m1")
    if waits:
        builder.sent("a", "b", "m1")
    builder.send("a", "b", "m2")
    if not waits:
        builder.sent("a", "b", "m1")
    builder.sent("a", "b", "m2")
    for message_id in ("m2", "m1") if swapped else ("m1", "m2"):
        builder.delivered("a", "b", message_id, connection=0 if message_id == "m2" else 99)
    return builder.drained()


def test_i3_catches_a_chat_seen_before_one_that_had_got_sent_before_it_was_begun(builder: HistoryBuilder) -> None:
    (violation,) = i3_order(two_chats(builder, waits=True, swapped=True))
    assert "m2 was sent after m1 had got `sent`, and arrived before it" in violation.sentence
    assert [event.message_id for event in violation.excerpt] == ["m1", "m1", "m2", "m2", "m1"]


def test_i3_accepts_the_right_order(builder: HistoryBuilder) -> None:
    assert not i3_order(two_chats(builder, waits=True, swapped=False))
    assert not i3_order(two_chats(HistoryBuilder().connect("a", "b"), waits=False, swapped=False))


def together(
    builder: HistoryBuilder, *, refused: bool = False, elsewhere: bool = False, again: str = ""
) -> list[Event]:
    """Two chats begun one after the other, without waiting for answers; they come in the other order."""
    first = builder.connections["a"]
    builder.send("a", "b", "m1")
    if elsewhere:
        builder.leave("a").connect("a")
    if again == "m2":
        builder.send("a", "b", "m2")
        builder.leave("a").connect("a")
        builder.send("a", "b", "m1", attempt=2)
    builder.send("a", "b", "m2", attempt=2 if again == "m2" else 1)
    builder.sent("a", "b", "m2", timestamp=7)
    if refused:  # perhaps it was stored all the same
        builder.refused("a", "b", "m1")
    else:
        builder.sent("a", "b", "m1", timestamp=8, connection=first if elsewhere else builder.connections["a"])
    if again == "m1":
        builder.send("a", "b", "m1", attempt=2)
        builder.sent("a", "b", "m1", timestamp=9)
    for n, message_id in enumerate(("m2", "m1")):
        builder.delivered("a", "b", message_id, stream_id=f"{7 + n}-0")
    return builder.drained()


def test_i3_catches_chats_begun_together_on_one_connection_in_the_wrong_order(builder: HistoryBuilder) -> None:
    (violation,) = i3_order(together(builder))
    assert "m2 was sent after m1 on one connection, and arrived before it" in violation.sentence
    assert [(event.kind, event.message_id) for event in violation.excerpt] == [
        ("send", "m1"),
        ("send", "m2"),
        ("delivery", "m2"),
        ("delivery", "m1"),
    ]


@pytest.mark.parametrize("excuse", [{"refused": True}, {"elsewhere": True}, {"again": "m1"}, {"again": "m2"}], ids=str)
def test_i3_lets_a_chat_overtake_one_that_was_refused_or_tried_elsewhere_or_again(
    builder: HistoryBuilder, excuse: dict[str, Any]
) -> None:
    assert not i3_order(together(builder, **excuse))


def test_i3_gives_no_place_to_an_entry_stored_anew_after_storage_lost_the_one_in_sent(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.sent("a", "b", "m1", timestamp=7)
    builder.send("a", "b", "m2")
    builder.sent("a", "b", "m2", timestamp=8)
    builder.delivered("a", "b", "m2", stream_id="8-0")
    builder.delivered("a", "b", "m1", stream_id="9-0")
    assert not i3_order(builder.drained())


def test_i3_compares_the_first_sight_and_not_a_redelivery(builder: HistoryBuilder) -> None:
    builder.chat("a", "b", "m1", "m2")
    builder.delivered("a", "b", "m1", duplicate=True)
    assert not i3_order(builder.drained())


def test_i3_finds_the_overtaken_one_among_many(builder: HistoryBuilder) -> None:
    for message_id in ("m1", "m2", "m3", "m4"):
        builder.send("a", "b", message_id)
        builder.sent("a", "b", message_id)
    for number, message_id in enumerate(("m1", "m3", "m2", "m4")):
        builder.delivered("a", "b", message_id, connection=100 + number)
    assert len(i3_order(builder.drained())) == 1


def test_i3_compares_with_the_one_that_was_seen_last(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.leave("a").connect("a")  # m1 and m2 may be stored in either order
    builder.send("a", "b", "m2")
    builder.sent("a", "b", "m1")
    builder.sent("a", "b", "m2")
    builder.send("a", "b", "m3")
    for number, message_id in enumerate(("m2", "m3", "m1")):
        builder.delivered("a", "b", message_id, connection=100 + number)
    (violation,) = i3_order(builder.drained())
    assert "m3 was sent after m1" in violation.sentence


def test_i3_does_not_compare_conversations(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.sent("a", "b", "m1")
    builder.chat("c", "b", "m2")
    builder.delivered("a", "b", "m1", stream_id="9999-0")
    assert not i3_order(builder.drained())


def test_i3_catches_a_new_entry_with_a_lower_stream_id_on_one_connection(builder: HistoryBuilder) -> None:
    builder.delivered("a", "b", "m2", stream_id="10-0")
    builder.delivered("c", "b", "m3", stream_id="9-5")
    assert "a new entry arrived after one with a higher streamId" in i3_order(builder.drained())[0].sentence


def test_i3_compares_stream_ids_as_numbers_apart_from_duplicates_and_a_resync(
    builder: HistoryBuilder,
) -> None:
    builder.delivered("a", "b", "m1", stream_id="9-9")
    builder.delivered("a", "b", "m2", stream_id="9-10")
    builder.delivered("a", "b", "m1", stream_id="9-9", duplicate=True)
    builder.record("resync", mobile="b", connection=builder.connections["b"], epoch="e2")
    builder.delivered("a", "b", "m3", stream_id="8-0")
    assert not i3_order(builder.drained())


# ---- I8


def test_i8_accepts_what_was_written(builder: HistoryBuilder) -> None:
    assert not i8_authentic(builder.chat("a", "b", "m1").drained())


def test_i8_catches_a_false_sender(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.delivered("c", "b", "m1")
    assert sentences(i8_authentic(builder.drained())) == ["m1 arrived at b as from c, but a wrote it"]


def test_i8_catches_an_altered_text(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.delivered("a", "b", "m1", digest="other")
    assert sentences(i8_authentic(builder.drained())) == ["m1 arrived altered at b"]


def test_i8_catches_what_nobody_wrote_to_whoever_got_it(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.delivered("a", "c", "m1")
    assert sentences(i8_authentic(builder.drained())) == ["m1 arrived at c, but nobody wrote it"]
