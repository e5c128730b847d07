"""I5, I6, I9: each catches a bad history, and lets the nearest good one pass."""

import pytest

from tools.chaos.checker.people import i5_blocks, i6_presence, i9_logout
from tools.chaos.checker.report import Limits
from tools.chaos.history import Event
from tools.chaos.story import Story

FAST = Limits(lease=3)


@pytest.fixture
def story() -> Story:
    """Asha (a) and Ravi (b) are connected."""
    return Story().connect("a", "b")


# ---- I5


def through(story: Story, *, after: float, again: bool = False, sent_first: bool = True) -> list[Event]:
    """Asha's chat reaches Ravi so long after he blocked her."""
    if sent_first:
        story.send("a", "b", "m1")
    story.ask("block", "b", whom="a")
    if not sent_first:
        story.send("a", "b", "m1")
    story.wait(after)
    if again:
        story.leave("b").connect("b")
    story.came("a", "b", "m1")
    return story.drained()


def test_i5_catches_a_chat_sent_after_the_block(story: Story) -> None:
    (violation,) = i5_blocks(through(story, after=0, sent_first=False))
    assert violation.sentence == "m1 from a to b was sent after the block was answered, and came"


def test_i5_lets_what_was_in_flight_arrive_for_a_second(story: Story) -> None:
    assert not i5_blocks(through(story, after=0.5))
    assert len(i5_blocks(through(Story().connect("a", "b"), after=1.5))) == 1


def test_i5_lets_nothing_through_that_waited_for_a_connection_opened_under_the_block(story: Story) -> None:
    assert len(i5_blocks(through(story, after=0.5, again=True))) == 1


def test_i5_lets_a_frozen_server_empty_its_hands(story: Story) -> None:
    story.fault("freeze", 0.5)
    assert i5_blocks(through(story, after=1.5))
    frozen = Story().connect("a", "b")
    frozen.note("fault begun", fault="freeze")
    assert not i5_blocks(through(frozen, after=1.5))


def test_i5_knows_redeliveries_from_news(story: Story) -> None:
    story.chat("a", "b", "m1")
    story.ask("block", "b", whom="a")
    story.wait(5)
    story.came("a", "b", "m1", known=True)
    assert not i5_blocks(story.drained())


def test_i5_ends_with_the_unblock_but_never_for_what_was_stored_under_the_block(story: Story) -> None:
    story.send("a", "b", "m1")
    story.ask("block", "b", whom="a")
    story.send("a", "b", "m2")
    story.sent("a", "b", "m2")
    story.ask("unblock", "b", whom="a")
    story.came("a", "b", "m1")
    story.chat("a", "b", "m3")
    assert not i5_blocks(list(story.events))
    story.came("a", "b", "m2")
    (violation,) = i5_blocks(story.drained())
    assert violation.sentence == "m2 from a to b was stored while a block stood, and came after it"


def test_i5_lets_a_chat_be_repeated_after_the_block_when_storage_told_that_it_forgot(story: Story) -> None:
    story.ask("block", "b", whom="a")
    story.send("a", "b", "m1")
    story.sent("a", "b", "m1")
    story.note("resync", who="b", connection=story.connections["b"], epoch="e2")
    story.ask("unblock", "b", whom="a")
    story.came("a", "b", "m1")
    assert not i5_blocks(story.drained())


@pytest.mark.parametrize("status", [0, 503])
def test_i5_is_not_sure_of_a_block_that_was_not_confirmed(story: Story, status: int) -> None:
    story.ask("block", "b", whom="a", status=status)
    story.chat("a", "b", "m1")
    assert not i5_blocks(story.drained())


def test_i5_is_not_sure_of_a_block_after_an_unblock_without_an_answer(story: Story) -> None:
    story.ask("block", "b", whom="a")
    story.ask("unblock", "b", whom="a", status=0)
    story.ask("block", "b", whom="a")
    story.wait(5)
    story.chat("a", "b", "m1")
    story.ask("unblock", "b", whom="a")
    assert not i5_blocks(story.drained())


# ---- I6


def look(story: Story, seen: str) -> list[Event]:
    story.ask("presence", "a", whom="b", seen=seen)
    return story.drained()


def test_i6_catches_a_ghost(story: Story) -> None:
    story.leave("b").wait(6)
    (violation,) = i6_presence(look(story, "online"), FAST)
    assert violation.sentence == "b was shown online, without a connection for 3 s"
    assert [event.kind for event in violation.excerpt] == ["disconnected", "presence asked", "presence answered"]


def test_i6_gives_a_lease_its_time_and_an_attempt_to_connect_the_benefit_of_the_doubt(story: Story) -> None:
    assert not i6_presence(look(story.leave("b").wait(4), "online"), FAST)
    trying = Story().connect("a")
    trying.note("connecting", who="b", connection=77, session=1, dialect="seed")
    assert not i6_presence(look(trying.wait(60), "online"), FAST)


def test_i6_catches_somebody_who_was_never_there(story: Story) -> None:
    story.ask("presence", "a", whom="z", seen="online")
    assert len(i6_presence(story.drained(), FAST)) == 1


@pytest.mark.parametrize("seen", ["", "2026-01-01T00:00:00Z"])
def test_i6_catches_somebody_connected_and_not_online(story: Story, seen: str) -> None:
    story.wait(2).ask("presence", "a", whom="b", seen=seen)
    assert not i6_presence(story.events, FAST)  # he may just be leaving
    (violation,) = i6_presence(story.wait(2).drained(), FAST)
    assert violation.sentence == "b was connected, and not shown online"


def test_i6_knows_who_comes_goes_logs_out_or_hides(story: Story) -> None:
    story.leave("b")
    ask = story.note("presence asked", who="a", whom="b", ask=story.number()).ask
    story.connect("b")
    story.note("presence answered", who="a", whom="b", ask=ask, status=200, seen="", seconds=0.02)
    story.wait(3)
    story.ask("logout", "b", session=story.sessions["b"])
    story.ask("presence", "a", whom="b", seen="")
    story.wait(3).leave("b")
    story.sessions["b"] = story.number()
    story.connect("b").wait(3)
    story.ask("block", "b", whom="a")
    story.ask("presence", "a", whom="b", seen="")
    assert not i6_presence(story.wait(3).drained(), FAST)


def test_i6_gives_a_fault_ten_seconds_to_heal(story: Story) -> None:
    story.wait(3).fault("redis away", 1).wait(8)
    story.ask("presence", "a", whom="b", seen="")
    assert not i6_presence(list(story.wait(3).events), FAST)
    story.ask("presence", "a", whom="b", seen="")
    assert len(i6_presence(story.wait(3).drained(), FAST)) == 1


def test_i6_takes_a_refusal_for_no_view(story: Story) -> None:
    story.wait(3).ask("presence", "a", whom="b", seen="", status=503)
    assert not i6_presence(story.wait(3).drained(), FAST)


# ---- I9


def after_logout(story: Story, seconds: float) -> Story:
    story.ask("logout", "a", session=story.sessions["a"])
    return story.wait(seconds)


def test_i9_catches_a_delivery_to_a_session_that_ended(story: Story) -> None:
    after_logout(story, 1.5).came("b", "a", "m1")
    (violation,) = i9_logout(story.drained())
    assert [event.kind for event in violation.excerpt] == ["logout answered", "delivery"]


def test_i9_catches_a_chat_accepted_from_a_session_that_ended_but_not_its_refusal(story: Story) -> None:
    after_logout(story, 1.5).send("a", "b", "m1")
    story.refused("a", "b", "m1")
    assert not i9_logout(list(story.events))
    story.sent("a", "b", "m1")
    (violation,) = i9_logout(story.drained())
    assert [event.kind for event in violation.excerpt] == ["logout answered", "send", "answer"]


def test_i9_catches_a_socket_opened_by_a_session_that_ended(story: Story) -> None:
    after_logout(story, 1.5).connect("a")
    assert len(i9_logout(story.drained())) == 1


def test_i9_gives_it_a_second_and_lets_the_next_session_live(story: Story) -> None:
    after_logout(story, 0.5).came("b", "a", "m1")
    story.send("a", "b", "m2")
    story.wait(1).sent("a", "b", "m2")  # accepted before
    story.sessions["a"] = story.number()
    story.connect("a").came("b", "a", "m3")
    assert not i9_logout(story.drained())


def test_i9_gives_it_half_a_minute_where_a_fault_may_have_cut_the_bus(story: Story) -> None:
    story.fault("bus cut", 1)
    after_logout(story, 25).came("b", "a", "m1")
    assert not i9_logout(list(story.events))
    story.wait(6).came("b", "a", "m2")
    assert len(i9_logout(story.drained())) == 1


def test_i9_asks_nothing_of_a_logout_that_was_not_confirmed(story: Story) -> None:
    story.ask("logout", "a", session=story.sessions["a"], status=503)
    story.wait(2).came("b", "a", "m1")
    assert not i9_logout(story.drained())
