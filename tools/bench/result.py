"""Medians, ranges and percentiles; nothing is interpolated: every number was measured.

What one run of one mode on one contender found.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.bench.accounting import Ledger
from tools.bench.activity import roles_text


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


Figures = Mapping[str, float]


@dataclass
class Result:
    """One run.

    :param setting: what it was run with
    :param figures: what was measured, by name; units are in the names
    :param seconds: how long the CPU was counted
    :param used: CPU seconds of each role in that time
    :param per: messages (or connections) that CPU is divided by
    """

    mode: str
    contender: str
    setting: Mapping[str, Any]
    figures: Figures
    ledger: Ledger
    seconds: float
    used: Mapping[str, float]
    per: int
    round: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)
    activity: Mapping[str, Any] = field(default_factory=dict)
    """For one message: switches, waits and system calls of each role, and Redis' commands; see activity.py."""

    @property
    def void(self) -> bool:
        """Whether something was lost, doubled, reordered or refused: then the figures count for nothing."""
        return self.ledger.defects().any()

    def microseconds(self) -> dict[str, float]:
        """CPU of each role for one message, in µs."""
        return {role: round(used / self.per * 1e6, 1) for role, used in self.used.items()} if self.per else {}

    def record(self) -> dict[str, Any]:
        """For the JSON file."""
        return {
            "mode": self.mode,
            "contender": self.contender,
            "round": self.round,
            "setting": dict(self.setting),
            "figures": dict(self.figures),
            "sent": self.ledger.sent,
            "void": self.void,
            "defects": self.ledger.defects().counts(),
            "refusals": dict(self.ledger.refusals),
            "closes": dict(self.ledger.closes),
            "defects_per_pair": self.ledger.per_pair(),
            "cpu_window_seconds": round(self.seconds, 3),
            "cpu_seconds": dict(self.used),
            "cpu_microseconds_each": self.microseconds(),
            "activity_each": dict(self.activity),
            "client_busy_percent": round(100 * self.used.get("client", 0.0) / self.seconds, 1) if self.seconds else 0,
            "facts": dict(self.facts),
        }

    def line(self) -> str:
        """One line for the terminal."""
        figures = "  ".join(f"{name}={value:g}" for name, value in self.figures.items())
        each = "  ".join(f"{role} {used:g}" for role, used in self.microseconds().items())
        verdict = f"VOID: {self._defects()}" if self.void else "lost 0, doubled 0, reordered 0"
        text = f"{self.mode:<10}{self.contender:<20} {figures}   {verdict}\n{'':<31}CPU µs each: {each}"
        switches = roles_text(self.activity, ("switches",))
        return text + (f"\n{'':<31}switches each: {switches}" if switches else "")

    def _defects(self) -> str:
        reasons = {**self.ledger.refusals, **self.ledger.closes}
        why = "; ".join(f"{count} × {what}" for what, count in reasons.items())
        return self.ledger.defects().text() + (f" ({why})" if why else "")
