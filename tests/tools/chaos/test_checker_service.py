"""I11, I12, I14, and all at once: each check catches a bad history, and accepts the nearest good one."""

import pytest

from tests.support.histories import HistoryBuilder
from tools.chaos.checker import INVARIANTS, Limits, check
from tools.chaos.checker.service import i11_available, i12_notified, i14_window
from tools.chaos.frames import SEED
from tools.chaos.history import Event


@pytest.fixture
def builder() -> HistoryBuilder:
    """Asha (a) and Ravi (b) are connected."""
    return HistoryBuilder().connect("a", "b")


# ---- I11


def slow(builder: HistoryBuilder, seconds: float) -> HistoryBuilder:
    builder.send("a", "b", "m1")
    builder.wait(seconds).sent("a", "b", "m1")
    return builder


def test_i11_catches_a_send_that_takes_too_long(builder: HistoryBuilder) -> None:
    assert not i11_available(list(slow(builder, 4.5).events))
    (violation,) = i11_available(slow(HistoryBuilder().connect("a", "b"), 5.5).drained())
    assert violation.sentence == "a sent without success for 5.5 s, outside of any fault and its repair"


def test_i11_measures_from_the_last_success_while_more_waits(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.send("a", "b", "m2")
    builder.wait(4).sent("a", "b", "m1")
    builder.wait(4).sent("a", "b", "m2")
    assert not i11_available(builder.drained())


def test_i11_catches_what_is_never_answered(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.refused("a", "b", "m1")
    assert len(i11_available(builder.wait(6).drained())) == 1


def test_i11_gives_a_fault_ten_seconds_to_heal(builder: HistoryBuilder) -> None:
    builder.record("fault start", fault="redis")
    builder.send("a", "b", "m1")
    builder.wait(20).record("fault end", fault="redis")
    builder.wait(14).sent("a", "b", "m1")
    assert not i11_available(list(builder.events))
    builder.events.pop()
    builder.wait(2).sent("a", "b", "m1")
    assert len(i11_available(builder.drained())) == 1


def test_i11_holds_a_fault_to_the_limit_it_names(builder: HistoryBuilder) -> None:
    builder.record("fault start", fault="one of two workers", outage_limit=5.0)
    slow(builder, 7)
    builder.record("fault end", fault="one of two workers")
    (violation,) = i11_available(builder.drained())
    assert violation.sentence == "a sent without success for 7.0 s while one of two workers lasted"


def test_i11_does_not_count_for_a_fault_the_time_a_client_was_away(builder: HistoryBuilder) -> None:
    builder.record("fault start", fault="one of two workers", outage_limit=5.0)
    builder.send("a", "b", "m1")
    builder.record("away", mobile="a", seconds=4.0)
    builder.leave("a", by_client=True).wait(8).connect("a")
    builder.sent("a", "b", "m1")
    builder.record("fault end", fault="one of two workers")
    assert not i11_available(builder.drained())


def test_i11_does_not_miss_who_left_by_himself_but_for_a_while(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.record("away", mobile="a", seconds=4.0)
    builder.leave("a", by_client=True).wait(8).connect("a")
    builder.sent("a", "b", "m1")
    assert not i11_available(list(builder.events))
    builder.events.pop()
    builder.wait(5).sent("a", "b", "m1")
    assert len(i11_available(builder.drained())) == 1


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("disconnected", {"code": 1011}),
        ("disconnected", {"code": 4503}),
        ("block response", {"peer": "b", "request": 1, "status": 500}),
        ("block response", {"peer": "b", "request": 1, "status": 0, "seconds": 6.5}),
        ("unanswered", {"peer": "b", "message_id": "m1", "seconds": 6.0}),
        ("answer", {"peer": "b", "message_id": "m1", "result": "no_such_person", "retryable": False, "session": 1}),
        ("answer", {"peer": "b", "message_id": "m1", "result": "internal", "retryable": True, "session": 1}),
    ],
)
def test_i11_catches_every_sign_that_the_server_failed(
    builder: HistoryBuilder, kind: str, fields: dict[str, object]
) -> None:
    usual = {"mobile": "a", "connection": 1, "reason": "", "by_client": False, "seconds": 0.1}
    builder.record(kind, **(usual | fields))
    assert len(i11_available(builder.drained())) == 1


def test_i11_accepts_clear_refusals_and_closes_and_hanging_while_servers_are_frozen(builder: HistoryBuilder) -> None:
    builder.refused("a", "b", "m1", "unavailable")
    builder.leave("a", code=4004).connect("a")
    builder.request("block", "a", peer="b", status=503)
    builder.fault("frozen", 7)
    builder.record("unanswered", mobile="a", peer="b", message_id="m1", connection=1, seconds=6.0)
    assert not i11_available(builder.drained())


def test_i11_catches_hanging_in_a_fault_in_which_the_servers_go_on(builder: HistoryBuilder) -> None:
    builder.fault("redis away", 7, servers_answer=True)
    builder.record("unanswered", mobile="a", peer="b", message_id="m1", connection=1, seconds=6.0)
    assert len(i11_available(builder.drained())) == 1


# ---- I12


def resync(builder: HistoryBuilder, mobile: str) -> None:
    builder.record("resync", mobile=mobile, connection=builder.connections[mobile], epoch="e2")


def test_i12_catches_who_was_never_told(builder: HistoryBuilder) -> None:
    builder.fault("flushall", 1, loses_storage=True)
    resync(builder, "a")
    (violation,) = i12_notified(builder.drained())
    assert violation.sentence == "storage lost what it had (flushall), and b was never notified"


def test_i12_accepts_a_resync_and_a_hello_with_a_new_epoch(builder: HistoryBuilder) -> None:
    builder.fault("flushall", 1, loses_storage=True)
    resync(builder, "a")
    builder.epoch = "e2"
    builder.leave("b").connect("b")
    assert not i12_notified(builder.drained())


def test_i12_asks_for_seed_clients_only_if_they_stayed_connected() -> None:
    builder = HistoryBuilder().connect("a", "b", dialect=SEED)
    builder.fault("flushall", 1, loses_storage=True)
    builder.leave("a").connect("a", dialect=SEED)
    assert [violation.excerpt[0].mobile for violation in i12_notified(builder.drained())] == ["b"]


def test_i12_catches_the_news_of_a_loss_that_nothing_caused(builder: HistoryBuilder) -> None:
    builder.fault("kill redis", 1)
    resync(builder, "a")
    builder.fault("flushall", 1, loses_storage=True)
    resync(builder, "b")
    assert [violation.sentence for violation in i12_notified(builder.drained())] == [
        "a was notified of a loss that nothing caused",
        "storage lost what it had (flushall), and a was never notified",
    ]


# ---- I14


def test_i14_catches_more_than_a_window_unacked(builder: HistoryBuilder) -> None:
    for number in range(3):
        builder.delivered("a", "b", f"m{number}")
    assert not i14_window(list(builder.events), Limits(window=3))
    builder.delivered("a", "b", "m3")
    assert len(i14_window(builder.drained(), Limits(window=3))) == 1


def test_i14_counts_an_entry_once_and_not_after_its_ack_or_on_another_connection(builder: HistoryBuilder) -> None:
    builder.delivered("a", "b", "m0")
    builder.delivered("a", "b", "m0", duplicate=True)
    builder.ack("b", "m0")
    builder.delivered("a", "b", "m1")
    builder.leave("b").connect("b").delivered("a", "b", "m2")
    assert not i14_window(builder.drained(), Limits(window=1))


# ---- all at once


def test_a_good_history_has_no_violation_and_its_figures() -> None:
    builder = HistoryBuilder().connect("a", "b", "c").chat("a", "b", "m1", "m2").chat("b", "a", "m3")
    builder.request("block", "c", peer="a")
    builder.send("a", "c", "m4")
    builder.sent("a", "c", "m4")
    builder.send("a", "b", "m5")
    report = check(builder.drained())
    assert report.ok
    figures = report.figures()
    assert {name: figures[name] for name in ("sent", "acknowledged", "delivered", "withheld", "lost", "doubled")} == {
        "sent": 5, "acknowledged": 4, "delivered": 3, "withheld": 1, "lost": 0, "doubled": 0,
    }  # fmt: skip


def test_the_report_prints_the_figures_and_the_excerpt(builder: HistoryBuilder) -> None:
    builder.send("a", "b", "m1")
    builder.sent("a", "b", "m1")
    report = check(builder.drained())
    assert not report.ok
    assert report.lost == 1
    printed = str(report)
    assert "lost 1" in printed
    assert "I1: m1 from a to b got `sent` and never arrived" in printed
    assert '"kind":"send"' in printed


def test_the_longest_outage_is_told_outside_and_within_faults(builder: HistoryBuilder) -> None:
    slow(builder, 2)
    builder.record("fault start", fault="redis")
    builder.send("a", "b", "m2")
    builder.wait(8).sent("a", "b", "m2")
    builder.record("fault end", fault="redis")
    report = check(builder.drained())
    assert report.outage == pytest.approx(2.01)
    assert report.outage_in_faults == pytest.approx(8.01)


def test_a_history_must_be_drained_and_say_so(
    builder: HistoryBuilder,
) -> None:
    with pytest.raises(ValueError, match="no `drained` event"):
        check(builder.events)
    assert not check(builder.drained(ok=False)).ok


@pytest.mark.parametrize("name", INVARIANTS)
def test_an_empty_history_breaks_nothing(name: str) -> None:
    nothing: list[Event] = []
    assert INVARIANTS[name](nothing, Limits()) == []
