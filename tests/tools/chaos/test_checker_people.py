"""I5, I6, I9: each check catches a bad history, and accepts the nearest good one."""

from dataclasses import replace

import pytest

from tests.support.histories import HistoryBuilder
from tools.chaos.checker.people import hidden_presence, i5_blocks, i6_presence, i9_logout, reused_tokens
from tools.chaos.checker.report import Limits
from tools.chaos.history import Event

FAST = Limits(lease=3)


@pytest.fixture
def builder() -> HistoryBuilder:
    """Asha (a) and Ravi (b) are connected."""
    return HistoryBuilder().connect("a", "b")


# ---- I5


def through(builder: HistoryBuilder, *, after: float, again: bool = False, sent_first: bool = True) -> list[Event]:
    """Asha's chat arrives at Ravi so many seconds after Ravi's block."""
    if sent_first:
        builder.send("a", "b", "m1")
    builder.request("block", "b", peer="a")
    if not sent_first:
        builder.send("a", "b", "m1")
    builder.wait(after)
    if again:
        builder.leave("b").connect("b")
    builder.delivered("a", "b", "m1")
    return builder.drained()


def test_i5_catches_a_chat_sent_after_the_block(builder: HistoryBuilder) -> None:
    (violation,) = i5_blocks(through(builder, after=0, sent_first=False))
    assert violation.sentence == "m1 from a to b was sent after the block was answered, and arrived"


def test_i5_lets_what_was_in_flight_arrive_for_a_second(builder: HistoryBuilder) -> None:
    assert not i5_blocks(through(builder, after=0.5))
    assert len(i5_blocks(through(HistoryBuilder().connect("a", "b"), after=1.5))) == 1


def test_i5_lets_nothing_through_that_waited_for_a_connection_opened_under_the_block(builder: HistoryBuilder) -> None:
    assert len(i5_blocks(through(builder, after=0.5, again=True))) == 1


def test_i5_lets_a_frozen_server_empty_its_hands(builder: HistoryBuilder) -> None:
    builder.fault("freeze", 0.5)
    assert i5_blocks(through(builder, after=1.5))
    frozen = HistoryBuilder().connect("a", "b")
    frozen.record("fault start", fault="freeze")
    assert not i5_blocks(through(frozen, after=1.5))


def test_i5_knows_redeliveries_from_news(builder: HistoryBuilder) -> None:
    builder.chat("a", "b", "m1")
    builder.request("block", "b", peer="a")
    builder.wait(5)
    builder.delivered("a", "b", "m1", duplicate=True)
    assert not i5_blocks(builder.drained())


def test_i5_ends_with_the_unblock_but_never_for_what_was_stored_under_the_block(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.request("block", "b", peer="a")
    builder.send("a", "b", "m2")
    builder.sent("a", "b", "m2")
    builder.request("unblock", "b", peer="a")
    builder.delivered("a", "b", "m1")
    builder.chat("a", "b", "m3")
    assert not i5_blocks(list(builder.events))
    builder.delivered("a", "b", "m2")
    (violation,) = i5_blocks(builder.drained())
    assert violation.sentence == "m2 from a to b was stored while a block stood, and arrived after it"


def test_i5_lets_a_chat_be_repeated_after_the_block_when_storage_told_that_it_forgot(builder: HistoryBuilder) -> None:
    builder.request("block", "b", peer="a")
    builder.send("a", "b", "m1")
    builder.sent("a", "b", "m1")
    builder.record("resync", mobile="b", connection=builder.connections["b"], epoch="e2")
    builder.request("unblock", "b", peer="a")
    builder.delivered("a", "b", "m1")
    assert not i5_blocks(builder.drained())


@pytest.mark.parametrize("status", [0, 503])
def test_i5_is_not_sure_of_a_block_that_was_not_confirmed(builder: HistoryBuilder, status: int) -> None:
    builder.request("block", "b", peer="a", status=status)
    builder.chat("a", "b", "m1")
    assert not i5_blocks(builder.drained())


def test_i5_is_not_sure_of_a_block_after_an_unblock_without_an_answer(builder: HistoryBuilder) -> None:
    builder.request("block", "b", peer="a")
    builder.request("unblock", "b", peer="a", status=0)
    builder.request("block", "b", peer="a")
    builder.wait(5)
    builder.chat("a", "b", "m1")
    builder.request("unblock", "b", peer="a")
    assert not i5_blocks(builder.drained())


# ---- I6


def look(builder: HistoryBuilder, seen: str) -> list[Event]:
    builder.request("presence", "a", peer="b", presence=seen)
    return builder.drained()


def test_i6_catches_somebody_shown_online_after_their_lease(builder: HistoryBuilder) -> None:
    builder.leave("b").wait(6)
    (violation,) = i6_presence(look(builder, "online"), FAST)
    assert violation.sentence == "b was shown online, without a connection for 3 s"
    assert [event.kind for event in violation.excerpt] == ["disconnected", "presence request", "presence response"]


def test_i6_gives_a_lease_its_time_and_an_attempt_to_connect_the_benefit_of_the_doubt(builder: HistoryBuilder) -> None:
    assert not i6_presence(look(builder.leave("b").wait(4), "online"), FAST)
    trying = HistoryBuilder().connect("a")
    trying.record("connecting", mobile="b", connection=77, session=1, dialect="seed", device="primary")
    assert not i6_presence(look(trying.wait(60), "online"), FAST)


def test_i6_lets_a_lease_last_anew_each_time_that_the_clock_is_set_back(builder: HistoryBuilder) -> None:
    gone = builder.leave("b").events[-1].t
    history = look(builder.wait(11), "online")
    for set_back, wrong in (([gone + 4, gone + 8], 0), ([gone + 8], 1), ([gone + 4], 1), ([gone + 3, gone + 7], 0)):
        assert len(i6_presence(history, replace(FAST, clock_set_back=set_back))) == wrong, set_back


def test_i6_catches_somebody_who_was_never_there(builder: HistoryBuilder) -> None:
    builder.request("presence", "a", peer="z", presence="online")
    assert len(i6_presence(builder.drained(), FAST)) == 1


@pytest.mark.parametrize("seen", ["", "2026-01-01T00:00:00Z"])
def test_i6_catches_somebody_connected_and_not_online(builder: HistoryBuilder, seen: str) -> None:
    builder.wait(2).request("presence", "a", peer="b", presence=seen)
    assert not i6_presence(builder.events, FAST)  # Ravi may be about to leave
    (violation,) = i6_presence(builder.wait(2).drained(), FAST)
    assert violation.sentence == "b was connected, and not shown online"


def test_i6_accepts_people_who_connect_leave_log_out_or_block(builder: HistoryBuilder) -> None:
    builder.leave("b")
    request = builder.record("presence request", mobile="a", peer="b", request=builder.number()).request
    builder.connect("b")
    builder.record("presence response", mobile="a", peer="b", request=request, status=200, presence="", seconds=0.02)
    builder.wait(3)
    builder.request("logout", "b", session=builder.sessions["b"])
    builder.request("presence", "a", peer="b", presence="")
    builder.wait(3).leave("b")
    builder.sessions["b"] = builder.number()
    builder.connect("b").wait(3)
    builder.request("block", "b", peer="a")
    builder.request("presence", "a", peer="b", presence="")
    assert not i6_presence(builder.wait(3).drained(), FAST)


def test_i6_gives_a_fault_ten_seconds_to_heal(builder: HistoryBuilder) -> None:
    builder.wait(3).fault("redis away", 1).wait(8)
    builder.request("presence", "a", peer="b", presence="")
    assert not i6_presence(list(builder.wait(3).events), FAST)
    builder.request("presence", "a", peer="b", presence="")
    assert len(i6_presence(builder.wait(3).drained(), FAST)) == 1


def test_i6_takes_a_refusal_for_no_view(builder: HistoryBuilder) -> None:
    builder.wait(3).request("presence", "a", peer="b", presence="", status=503)
    assert not i6_presence(builder.wait(3).drained(), FAST)


# ---- I9


def after_logout(builder: HistoryBuilder, seconds: float) -> HistoryBuilder:
    builder.request("logout", "a", session=builder.sessions["a"])
    return builder.wait(seconds)


def test_i9_catches_a_delivery_to_a_session_that_ended(builder: HistoryBuilder) -> None:
    after_logout(builder, 1.5).delivered("b", "a", "m1")
    (violation,) = i9_logout(builder.drained())
    assert [event.kind for event in violation.excerpt] == ["logout response", "delivery"]


def test_i9_catches_a_chat_accepted_from_a_session_that_ended_but_not_its_refusal(builder: HistoryBuilder) -> None:
    after_logout(builder, 1.5).send("a", "b", "m1")
    builder.refused("a", "b", "m1")
    assert not i9_logout(list(builder.events))
    builder.sent("a", "b", "m1")
    (violation,) = i9_logout(builder.drained())
    assert [event.kind for event in violation.excerpt] == ["logout response", "send", "answer"]


def test_i9_catches_a_socket_opened_by_a_session_that_ended(builder: HistoryBuilder) -> None:
    after_logout(builder, 1.5).connect("a")
    assert len(i9_logout(builder.drained())) == 1


def test_i9_gives_it_a_second_and_lets_the_next_session_live(builder: HistoryBuilder) -> None:
    after_logout(builder, 0.5).delivered("b", "a", "m1")
    builder.send("a", "b", "m2")
    builder.wait(1).sent("a", "b", "m2")  # accepted before
    builder.sessions["a"] = builder.number()
    builder.connect("a").delivered("b", "a", "m3")
    assert not i9_logout(builder.drained())


def test_i9_gives_it_half_a_minute_where_a_fault_may_have_cut_the_bus(builder: HistoryBuilder) -> None:
    builder.fault("bus cut", 1)
    after_logout(builder, 25).delivered("b", "a", "m1")
    assert not i9_logout(list(builder.events))
    builder.wait(6).delivered("b", "a", "m2")
    assert len(i9_logout(builder.drained())) == 1


def test_i9_asks_nothing_of_a_logout_that_was_not_confirmed(builder: HistoryBuilder) -> None:
    builder.request("logout", "a", session=builder.sessions["a"], status=503)
    builder.wait(2).delivered("b", "a", "m1")
    assert not i9_logout(builder.drained())


# ---- what is hidden, and sessions that were stolen


@pytest.mark.parametrize("how", ["block", "hide", "own"])
@pytest.mark.parametrize("pushed", [True, False])
def test_who_hides_or_blocks_is_shown_online_to_nobody_concerned(how: str, pushed: bool) -> None:
    history = HistoryBuilder().connect("a", "b")
    match how:
        case "block":
            history.request("block", "b", peer="a")
        case "hide":
            history.request("hide", "b")
        case "own":
            history.request("hide", "a")
    history.wait(1.5)
    if pushed:
        history.record("presence pushed", mobile="a", peer="b", connection=1, presence="online")
    else:
        history.request("presence", "a", peer="b", presence="online")
    (violation,) = hidden_presence(history.drained())
    assert violation.invariant == "I5b"


@pytest.mark.parametrize("case", ["just now", "before", "shown again", "offline", "fault"])
def test_what_may_be_shown_is_no_violation(case: str) -> None:
    history = HistoryBuilder().connect("a", "b")
    if case == "before":
        history.record("presence pushed", mobile="a", peer="b", connection=1, presence="online")
    history.request("hide", "b")
    if case != "just now":
        history.wait(1.5)
    if case == "shown again":
        history.request("show", "b")
    if case == "fault":
        history.record("fault start", fault="freeze").kind  # noqa: B018
        history.record("fault end", fault="freeze")
    if case != "before":
        presence = "" if case == "offline" else "online"
        history.record("presence pushed", mobile="a", peer="b", connection=1, presence=presence)
    assert hidden_presence(history.drained()) == []


def test_online_is_pushed_only_of_who_is_connected() -> None:
    history = HistoryBuilder().connect("a", "b")
    history.leave("b")
    history.wait(2.0)
    history.record("presence pushed", mobile="a", peer="b", connection=1, presence="online")
    assert i6_presence(history.events, Limits(lease=4, lease_grace=0)) == []
    history.wait(6.0)
    history.record("presence pushed", mobile="a", peer="b", connection=1, presence="online")
    (violation,) = i6_presence(history.drained(), Limits(lease=4, lease_grace=0))
    assert "without a connection" in violation.sentence


def test_who_hides_need_not_be_shown_online() -> None:
    history = HistoryBuilder().connect("a", "b")
    history.request("hide", "b")
    history.wait(1.0)
    history.request("presence", "a", peer="b", presence="")
    history.wait(2.0)
    assert i6_presence(history.drained()) == []


def test_a_reused_refresh_token_gets_nothing_and_ends_its_session() -> None:
    history = HistoryBuilder().connect("a", "b")
    mine = {"mobile": "a", "session": history.sessions["a"], "request": 50}
    history.record("reuse request", **mine)
    history.record("reuse response", **mine, status=200, result="", seconds=0.01)
    (violation,) = reused_tokens(history.events)
    assert violation.invariant == "I9"
    history.record("reuse response", **mine, status=401, result="refresh_reused", seconds=0.01)
    history.wait(2.0)
    history.chat("b", "a", "m1")
    (late,) = i9_logout(history.drained())
    assert "logged out" in late.sentence
