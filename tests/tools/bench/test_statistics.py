"""Percentiles by nearest rank."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.bench.statistics import median, milliseconds, percentile


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (1, 1), (50, 50), (95, 95), (99, 99), (99.5, 100), (100, 100)])
def test_of_a_hundred(percent: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_of_one_it_is_that_one() -> None:
    assert percentile([7.0], 99) == 7.0


def test_of_none_there_is_none() -> None:
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
