"""``python -m tools.chaos.checker FILE``: prints what is to be said of a history; exit code 1 when it is not good."""

import sys
from pathlib import Path

from tools.chaos.checker.check import check
from tools.chaos.history import read

report = check(read(Path(sys.argv[1])))
print(report)
sys.exit(0 if report.ok else 1)
