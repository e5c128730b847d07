"""Medians, ranges and percentiles; nothing is interpolated: every number was measured."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` of them do not exceed (nearest rank).

    :raises ValueError: when there are none
    """
    if not values:
        raise ValueError("no values")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def median(values: Sequence[float]) -> float:
    """The middle one; the lower of two."""
    return percentile(values, 50)


def milliseconds(prefix: str, seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 of durations, as figures in ms."""
    return {f"{prefix}_p{p}_ms": round(percentile(seconds, p) * 1000, 3) for p in (50, 95, 99)}
