"""Checks the history of the clients against the delivery contract: one function for each invariant.

Checked here: I1, I1b, I2, I3, I4, I5, I6, I8, I9, I11, I12, I14. Clients cannot see the others. I5b (a blocked sender
learns nothing) is tested by comparing frames and bytes, I7 (caps never drop) and I13 (PostgreSQL is the truth) by the
tests of the scripts and jobs, I10 (bounded) by a look at the processes after each scenario.
"""

from tools.chaos.checker.check import INVARIANTS, check
from tools.chaos.checker.report import Limits, Report, Violation

__all__ = ["INVARIANTS", "Limits", "Report", "Violation", "check"]
