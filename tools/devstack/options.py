"""What ``run.py`` takes on its command line. Standard library only: it is read before anything is installed."""

import argparse
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORT = 5000
MOST_WORKERS = 4

DESCRIPTION = """\
Start WhatsApp Mini, with everything it needs: Valkey for REDIS_URL and PostgreSQL for DATABASE_URL, unless these
variables name servers of your own. All other variables are passed on; .env.sample lists them.
"""
COMMANDS = """\
other commands:
  run.py chat [NUMBER]  the messenger in the terminal
  run.py send NUMBER [TEXT], run.py listen
                        the same for scripts: lines of JSON; see: run.py send --help
  run.py demo [ARGS]    two phones on one page, and buttons to break things while they talk; see: run.py demo --help
  run.py test [ARGS]    run the tests (ARGS go to pytest; --quick: those to run while working)
  run.py check          format, lint, types, layers and tests, as CI does
  run.py bench [ARGS]   measure it, on a stack of its own; see: run.py bench --help
  run.py chaos [ARGS]   break it, on a stack of its own, and check that nothing is lost; see: run.py chaos --help
  run.py docs [--serve]   build the documentation site into .site, or show it; see: run.py docs --help
  run.py describe         write the JSON Schemas of all frames to docs/schemas
  run.py simulate [ARGS]  hours of talk and faults in seconds, in a simulated world; see: run.py simulate --help
"""


@dataclass(frozen=True)
class Options:
    """``join`` is the data directory of a running instance, or None to be one."""

    host: str
    port: int
    workers: int
    data: Path
    join: Path | None

    def arguments(self) -> list[str]:
        """The same as a command line that means the same in any directory."""
        place = ["--join", str(self.join)] if self.join else ["--data", str(self.data)]
        return ["--host", self.host, "--port", str(self.port), "--workers", str(self.workers), *place]


def default_workers() -> int:
    """Server processes: one for each core but one, which Redis needs; no more than a trial has use for.

    On two cores one process is faster than two, and its messages arrive earlier (docs/OPERATIONS.md, "How many
    processes").
    """
    return max(1, min(MOST_WORKERS, cores() - 1))


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def whole(lowest: int, highest: int) -> type[int]:
    """For ``type`` of an argument: a whole number within these bounds."""

    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(f"must be a whole number from {lowest} to {highest}, not {text!r}")
        return int(text)

    return number  # type: ignore[return-value]  # argparse takes any callable


def directory(text: str) -> Path:
    """For ``type`` of an argument: a directory, as an absolute path."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"{text!r} names the home of nobody known here") from None


def version() -> str:
    """The version of this checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def parse(arguments: list[str]) -> Options:
    """Read the command line.

    :raises SystemExit: with the usage, when it makes no sense
    """
    parser = argparse.ArgumentParser(
        prog="run.py",
        description=DESCRIPTION,
        epilog=COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"WhatsApp Mini {version()}")
    add("--port", type=whole(1, 65535), default=DEFAULT_PORT, help="default 5000; the next free one when it is taken")
    add("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    workers = default_workers()
    add(
        "--workers",
        type=whole(1, 64),
        default=workers,
        help=f"server processes (cores - 1: {workers})",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--data", type=directory, metavar="DIR", help="where to keep everything (default .data)")
    where.add_argument("--join", type=directory, metavar="DIR", help="add servers to the instance running on DIR")
    found = parser.parse_args(arguments)
    data = found.join or found.data or ROOT / ".data"
    return Options(found.host, found.port, found.workers, data, found.join)
