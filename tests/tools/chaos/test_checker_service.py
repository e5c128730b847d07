"""I11, I12, I14, and all at once: each catches a bad history, and lets the nearest good one pass."""

import pytest

from tools.chaos.checker import INVARIANTS, Limits, check
from tools.chaos.checker.service import i11_available, i12_told, i14_window
from tools.chaos.history import Event
from tools.chaos.speech import SEED
from tools.chaos.story import Story


@pytest.fixture
def story() -> Story:
    """Asha (a) and Ravi (b) are connected."""
    return Story().connect("a", "b")


# ---- I11


def slow(story: Story, seconds: float) -> Story:
    story.send("a", "b", "m1")
    story.wait(seconds).sent("a", "b", "m1")
    return story


def test_i11_catches_a_send_that_takes_too_long(story: Story) -> None:
    assert not i11_available(list(slow(story, 4.5).events))
    (violation,) = i11_available(slow(Story().connect("a", "b"), 5.5).drained())
    assert violation.sentence == "a sent in vain for 5.5 s, outside of any fault and its healing"


def test_i11_measures_from_the_last_success_while_more_waits(story: Story) -> None:
    story.send("a", "b", "m1")
    story.send("a", "b", "m2")
    story.wait(4).sent("a", "b", "m1")
    story.wait(4).sent("a", "b", "m2")
    assert not i11_available(story.drained())


def test_i11_catches_what_is_never_answered(story: Story) -> None:
    story.send("a", "b", "m1")
    story.refused("a", "b", "m1")
    assert len(i11_available(story.wait(6).drained())) == 1


def test_i11_gives_a_fault_ten_seconds_to_heal(story: Story) -> None:
    story.note("fault begun", fault="redis")
    story.send("a", "b", "m1")
    story.wait(20).note("fault ended", fault="redis")
    story.wait(14).sent("a", "b", "m1")
    assert not i11_available(list(story.events))
    story.events.pop()
    story.wait(2).sent("a", "b", "m1")
    assert len(i11_available(story.drained())) == 1


def test_i11_holds_a_fault_to_the_limit_it_names(story: Story) -> None:
    story.note("fault begun", fault="one of two workers", outage_limit=5.0)
    slow(story, 7)
    story.note("fault ended", fault="one of two workers")
    (violation,) = i11_available(story.drained())
    assert violation.sentence == "a sent in vain for 7.0 s while one of two workers lasted"


def test_i11_does_not_count_for_a_fault_the_time_a_client_was_away(story: Story) -> None:
    story.note("fault begun", fault="one of two workers", outage_limit=5.0)
    story.send("a", "b", "m1")
    story.note("away", who="a", seconds=4.0)
    story.leave("a", own=True).wait(8).connect("a")
    story.sent("a", "b", "m1")
    story.note("fault ended", fault="one of two workers")
    assert not i11_available(story.drained())


def test_i11_does_not_miss_who_left_by_himself_but_for_a_while(story: Story) -> None:
    story.send("a", "b", "m1")
    story.note("away", who="a", seconds=4.0)
    story.leave("a", own=True).wait(8).connect("a")
    story.sent("a", "b", "m1")
    assert not i11_available(list(story.events))
    story.events.pop()
    story.wait(5).sent("a", "b", "m1")
    assert len(i11_available(story.drained())) == 1


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("disconnected", {"code": 1011}),
        ("disconnected", {"code": 4503}),
        ("block answered", {"whom": "b", "ask": 1, "status": 500}),
        ("block answered", {"whom": "b", "ask": 1, "status": 0, "seconds": 6.5}),
        ("unanswered", {"whom": "b", "message_id": "m1", "seconds": 6.0}),
        ("answer", {"whom": "b", "message_id": "m1", "result": "no_such_person", "retryable": False, "session": 1}),
        ("answer", {"whom": "b", "message_id": "m1", "result": "internal", "retryable": True, "session": 1}),
    ],
)
def test_i11_catches_every_sign_that_our_side_broke(story: Story, kind: str, fields: dict[str, object]) -> None:
    usual = {"who": "a", "connection": 1, "reason": "", "own": False, "seconds": 0.1}
    story.note(kind, **(usual | fields))
    assert len(i11_available(story.drained())) == 1


def test_i11_accepts_clear_refusals_and_closes_and_hanging_while_servers_are_frozen(story: Story) -> None:
    story.refused("a", "b", "m1", "unavailable")
    story.leave("a", code=4004).connect("a")
    story.ask("block", "a", whom="b", status=503)
    story.fault("frozen", 7)
    story.note("unanswered", who="a", whom="b", message_id="m1", connection=1, seconds=6.0)
    assert not i11_available(story.drained())


def test_i11_catches_hanging_in_a_fault_in_which_the_servers_go_on(story: Story) -> None:
    story.fault("redis away", 7, answers=True)
    story.note("unanswered", who="a", whom="b", message_id="m1", connection=1, seconds=6.0)
    assert len(i11_available(story.drained())) == 1


# ---- I12


def resync(story: Story, who: str) -> None:
    story.note("resync", who=who, connection=story.connections[who], epoch="e2")


def test_i12_catches_who_was_never_told(story: Story) -> None:
    story.fault("flushall", 1, loses_storage=True)
    resync(story, "a")
    (violation,) = i12_told(story.drained())
    assert violation.sentence == "storage lost what it had (flushall), and b was never told"


def test_i12_accepts_a_resync_and_a_hello_with_a_new_epoch(story: Story) -> None:
    story.fault("flushall", 1, loses_storage=True)
    resync(story, "a")
    story.epoch = "e2"
    story.leave("b").connect("b")
    assert not i12_told(story.drained())


def test_i12_asks_for_seed_clients_only_if_they_stayed_connected() -> None:
    story = Story().connect("a", "b", dialect=SEED)
    story.fault("flushall", 1, loses_storage=True)
    story.leave("a").connect("a", dialect=SEED)
    assert [violation.excerpt[0].who for violation in i12_told(story.drained())] == ["b"]


def test_i12_catches_the_news_of_a_loss_that_nothing_caused(story: Story) -> None:
    story.fault("kill redis", 1)
    resync(story, "a")
    story.fault("flushall", 1, loses_storage=True)
    resync(story, "b")
    assert [violation.sentence for violation in i12_told(story.drained())] == [
        "a was told that storage lost something, and nothing had taken it",
        "storage lost what it had (flushall), and a was never told",
    ]


# ---- I14


def test_i14_catches_more_than_a_window_unacked(story: Story) -> None:
    for number in range(3):
        story.came("a", "b", f"m{number}")
    assert not i14_window(list(story.events), Limits(window=3))
    story.came("a", "b", "m3")
    assert len(i14_window(story.drained(), Limits(window=3))) == 1


def test_i14_counts_an_entry_once_and_not_after_its_ack_or_on_another_connection(story: Story) -> None:
    story.came("a", "b", "m0")
    story.came("a", "b", "m0", known=True)
    story.ack("b", "m0")
    story.came("a", "b", "m1")
    story.leave("b").connect("b").came("a", "b", "m2")
    assert not i14_window(story.drained(), Limits(window=1))


# ---- all at once


def test_a_good_history_has_no_violation_and_its_figures() -> None:
    story = Story().connect("a", "b", "c").chat("a", "b", "m1", "m2").chat("b", "a", "m3")
    story.ask("block", "c", whom="a")
    story.send("a", "c", "m4")
    story.sent("a", "c", "m4")
    story.send("a", "b", "m5")
    report = check(story.drained())
    assert report.ok
    figures = report.figures()
    assert {name: figures[name] for name in ("sent", "acknowledged", "delivered", "withheld", "lost", "doubled")} == {
        "sent": 5, "acknowledged": 4, "delivered": 3, "withheld": 1, "lost": 0, "doubled": 0,
    }  # fmt: skip


def test_the_report_prints_the_figures_and_the_excerpt(story: Story) -> None:
    story.send("a", "b", "m1")
    story.sent("a", "b", "m1")
    report = check(story.drained())
    assert not report.ok
    assert report.lost == 1
    printed = str(report)
    assert "lost 1" in printed
    assert "I1: m1 from a to b got `sent` and never came" in printed
    assert '"kind":"send"' in printed


def test_the_longest_outage_is_told_outside_and_within_faults(story: Story) -> None:
    slow(story, 2)
    story.note("fault begun", fault="redis")
    story.send("a", "b", "m2")
    story.wait(8).sent("a", "b", "m2")
    story.note("fault ended", fault="redis")
    report = check(story.drained())
    assert report.outage == pytest.approx(2.01)
    assert report.outage_in_faults == pytest.approx(8.01)


def test_a_history_that_was_not_drained_is_not_good_and_one_without_the_word_proves_nothing(story: Story) -> None:
    with pytest.raises(ValueError, match="never drained"):
        check(story.events)
    assert not check(story.drained(ok=False)).ok


@pytest.mark.parametrize("name", INVARIANTS)
def test_an_empty_history_breaks_nothing(name: str) -> None:
    nothing: list[Event] = []
    assert INVARIANTS[name](nothing, Limits()) == []
