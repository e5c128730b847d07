"""What ``run.py demo`` takes on its command line. Standard library only: it is read before anything is installed."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from tools.devstack.options import DEFAULT_PORT, ROOT, Options, default_workers, directory, whole

HOST = "127.0.0.1"
"""The only address: the page has buttons that kill processes."""
FEWEST_WORKERS = 3
"""So that the phones are on two of them, and another one is there when one of these is killed."""

DESCRIPTION = """\
Start WhatsApp Mini with two phones side by side on one page, /demo, and buttons to break things while they talk:
pull a cable, kill a server, take Redis away. It has servers and a data directory of its own, for this machine only.
"""


@dataclass(frozen=True)
class DemoOptions:
    """``fresh``: forget what the demo kept before."""

    port: int
    workers: int
    data: Path
    fresh: bool

    def arguments(self) -> list[str]:
        """The same as a command line that means the same in any directory."""
        return [
            *("--port", str(self.port), "--workers", str(self.workers), "--data", str(self.data)),
            *(["--fresh"] if self.fresh else []),
        ]

    def stack(self) -> Options:
        """What is started."""
        return Options(HOST, self.port, self.workers, self.data, None)


def parse(arguments: list[str]) -> DemoOptions:
    """Read the command line.

    :raises SystemExit: with the usage, when it makes no sense
    """
    parser = argparse.ArgumentParser(
        prog="run.py demo",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--port", type=whole(1, 65535), default=DEFAULT_PORT, help="default 5000; the next free one when it is taken")
    workers = max(FEWEST_WORKERS, default_workers())
    add(
        "--workers",
        type=whole(FEWEST_WORKERS, 64),
        default=workers,
        help=f"server processes, at least {FEWEST_WORKERS} (default {workers})",
    )
    add("--data", type=directory, metavar="DIR", default=ROOT / ".data" / "demo", help="default .data/demo")
    add("--fresh", action="store_true", help="forget what the demo kept before")
    found = parser.parse_args(arguments)
    return DemoOptions(found.port, found.workers, found.data, found.fresh)
