"""Judges a history of chaos clients by the delivery contract: one function per invariant, and all of them at once.

Checked here: I1, I1b, I2, I3, I4, I5, I6, I8, I9, I11, I12, I14. Elsewhere, because no client can see them: I5b (the
blocked one learns nothing) by comparing frames and bytes, I7 (caps never drop) and I13 (PostgreSQL is the truth) by the
tests of the scripts and chores, I10 (bounded) by looking at the processes after each scenario.
"""

from tools.chaos.checker.check import INVARIANTS, check
from tools.chaos.checker.report import Limits, Report, Violation

__all__ = ["INVARIANTS", "Limits", "Report", "Violation", "check"]
