"""One run as it is written down."""

from tools.bench.accounting import Ledger
from tools.bench.result import Result


def result(ledger: Ledger) -> Result:
    used = {"server": 0.5, "client": 1.0}
    return Result("closed", "mini", {"pairs": 1}, {"messages_per_second": 2}, ledger, 4.0, used, per=1000)


def test_cpu_is_divided_by_the_messages() -> None:
    assert result(Ledger(1)).microseconds() == {"server": 500.0, "client": 1000.0}
    assert result(Ledger(1)).record()["client_busy_percent"] == 25.0


def test_without_messages_there_is_nothing_to_divide_by() -> None:
    empty = result(Ledger(1))
    empty.per = 0
    assert empty.microseconds() == {}


def test_a_defect_makes_it_void_and_is_written_down_with_its_pair() -> None:
    ledger = Ledger(1)
    assert not result(ledger).record()["void"]
    ledger.next_id(0)
    record = result(ledger).record()
    assert record["void"]
    assert record["defects"]["lost"] == 1
    assert record["defects_per_pair"] == [{"pair": 0, "sent": 1, "lost": 1, "unanswered": 1, "unreceipted": 1}]
    assert "VOID: 1 lost" in result(ledger).line()
