"""One run as it is written down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.bench.accounting import Ledger
from tools.bench.result import Result, median, milliseconds, percentile


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


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (1, 1), (50, 50), (95, 95), (99, 99), (99.5, 100), (100, 100)])
def test_of_a_hundred(percent: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_of_one_value_it_is_that_value() -> None:
    assert percentile([7.0], 99) == 7.0


def test_of_no_values_there_is_none() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_it_is_the_smallest_value_that_enough_do_not_exceed(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values)
    smaller = [value for value in values if value < found]
    assert not smaller or len(smaller) < percent / 100 * len(values)


def test_the_median_of_an_even_number_is_one_of_them() -> None:
    assert median([4, 1, 3, 2]) == 2


def test_figures_are_in_milliseconds() -> None:
    assert milliseconds("received", [0.001, 0.002]) == {
        "received_p50_ms": 1.0,
        "received_p95_ms": 2.0,
        "received_p99_ms": 2.0,
    }
