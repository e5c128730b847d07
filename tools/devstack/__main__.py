"""``python -m tools.devstack``: what ``run.py`` becomes once everything is installed."""

import sys

from tools.devstack.launcher import main
from tools.devstack.options import parse

if __name__ == "__main__":
    sys.exit(main(parse(sys.argv[1:])))
