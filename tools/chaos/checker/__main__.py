"""``python -m tools.chaos.checker FILE``: prints the report on a history; exit code 1: an invariant is broken."""

import sys
from pathlib import Path

from tools.chaos.checker.check import check
from tools.chaos.history import read

report = check(read(Path(sys.argv[1])))
print(report)
sys.exit(0 if report.ok else 1)
