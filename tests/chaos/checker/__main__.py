"""``python -m tests.chaos.checker FILE``: prints what is to be said of a history; exit code 1 when it is not good."""

import sys
from pathlib import Path

from tests.chaos.checker.check import check
from tests.chaos.history import read

report = check(read(Path(sys.argv[1])))
print(report)
sys.exit(0 if report.ok else 1)
