"""What ``run.py bench`` takes on its command line."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from tools.bench.contenders import BEFORE, LIMITS, NAMES, ON_REQUEST, SEED, processes_of
from tools.bench.flooder import KINDS
from tools.bench.stack import devstack_of

RATES = (500.0, 2_000.0, 4_000.0)
MODES = ("closed", "open", "offline", "idle", "storm", "growth", "floods")
DESCRIPTION = """\
Measure WhatsApp Mini from outside, on a stack of its own that is started for it and removed afterwards, beside ejabberd
and Prosody where Debian's packages of them are installed. See tools/bench/README.md for what the figures mean.
"""
EPILOGUE = """\
modes:
  closed    pairs with so many chats in flight each: messages a second
  open      fixed rates (--rate), the same for all: time to arrival and to receipt
  offline   a backlog, then connect: time to the last
  idle      memory of a connection
  storm     all clients reconnect at once
  growth    closed, with 100, 10,000 and 1,000,000 people in the databases
  floods    open, while a hostile client does its worst, in 24 ways (--floods, --accounts)
  all       all of these, in this order (the default)
  ceiling   the client alone, against a server that does nothing
  profile   a closed run, where its time goes (py-spy, Redis' command statistics), and what it would cost at least
  trace     one server worker counts: Python calls of a chat's cycle, objects and reference circles of a connection

examples:
  run.py bench closed --contenders mini-everysec --rounds 1
  run.py bench all --out tools/bench/results/today
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line.

    :raises SystemExit: with the usage, when it makes no sense
    """
    parser = argparse.ArgumentParser(
        prog="run.py bench",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("mode", nargs="*", type=_mode, default=["all"], help="one or several of the modes below")
    add("--contenders", type=_names, default=list(NAMES), metavar="A,B", help=f"default {','.join(NAMES)}")
    add("--dialect", choices=("wm.v1", "seed", "both"), help="which our people speak (default wm.v1; floods: both)")
    add("--before", type=_checkout, metavar="DIR", help=f"{BEFORE} takes part: the code of another checkout")
    add("--limits", choices=list(LIMITS), help="our rate limits; on: checked, never hit (default off; floods: shipped)")
    add("--rounds", type=int, help="alternating rounds (default 3; floods: 1)")
    add("--floods", type=_floods, default=list(KINDS), metavar="A,B", help="floods: which (default all, see README)")
    add("--accounts", type=_sizes, default=[1, 4], metavar="A,B", help="floods: from so many accounts (default 1,4)")
    add("--out", type=Path, metavar="PATH", help="write PATH.json, PATH.md and PATH.png")
    add(
        "--page",
        type=Path,
        metavar="PATH",
        help="profile: write the table of the floor into this page (docs/limits.md)",
    )
    add("--pairs", type=int, default=50, help="pairs of people who talk (default 50)")
    add("--in-flight", type=int, default=8, help="closed: chats in flight per pair (default 8)")
    add("--seconds", type=float, help="measured part of a run (default 8; floods: 2)")
    add("--warm-up", type=float, default=2.0, help="seconds before it (default 2)")
    add(
        "--rate",
        type=_rates,
        default=list(RATES),
        metavar="A,B",
        help=f"open: chats a second (default {_words(RATES)})",
    )
    add("--waiting", type=int, default=2_000, help="offline: chats that wait (default 2000)")
    add("--connections", type=int, help="idle: default 10000; storm: default 5000")
    add("--existing", type=_sizes, default=[100, 10_000, 1_000_000], metavar="A,B", help="growth: people who exist")
    add("--workers", type=int, default=2, help="server processes of our own stack (default 2)")
    add("--ack-each", action="store_true", help="an ack frame for each entry, not one for all of a loop tick")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--data", type=Path, metavar="DIR", help="measure the instance that runs on DIR (run.py --data)")
    where.add_argument("--url", metavar="URL", help="measure any servers (http://…): people sign up; no server CPU")
    found = parser.parse_args(arguments)
    _defaults(found)
    alone = {"all", "idle", "growth", "floods", "profile", "trace"} & set(found.mode)
    if (found.data or found.url) and alone:
        parser.error(f"{min(alone)} needs stacks of its own: without --data and --url")
    if (found.data or found.url) and any(processes_of(name)[1] for name in found.contenders):
        parser.error("the number of server processes is that of what runs: without --data and --url")
    if "trace" in found.mode:
        found.workers = 1
    if "all" in found.mode:
        found.mode = list(MODES)
    if found.url:
        found.contenders = ["mini", *(name for name in found.contenders if not name.startswith("mini"))]
    if found.before:
        found.contenders.append(BEFORE)
    found.contenders = [each for name in found.contenders for each in _in_dialects(name, found.dialect)]
    return found


def _defaults(found: argparse.Namespace) -> None:
    """Floods are many, so each is short; and the limits are part of what is flooded."""
    found.flood_rounds, found.rounds = found.rounds or 1, found.rounds or 3
    found.flood_seconds, found.seconds = found.seconds or 2.0, found.seconds or 8.0
    found.flood_limits, found.limits = found.limits or "shipped", found.limits or "off"
    found.flood_dialects = ["wm.v1", "seed"] if found.dialect in (None, "both") else [found.dialect]
    found.dialect = found.dialect or "wm.v1"


def _floods(text: str) -> list[str]:
    kinds = text.split(",")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise argparse.ArgumentTypeError(f"no flood is called {unknown[0]!r}; there are {', '.join(KINDS)}")
    return kinds


def _in_dialects(name: str, dialect: str) -> list[str]:
    """A contender of this product takes part once for each dialect."""
    if not name.startswith("mini"):
        return [name]
    return {"wm.v1": [name], "seed": [name + SEED], "both": [name, name + SEED]}[dialect]


def _checkout(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not (path / devstack_of(path).replace(".", "/") / "__main__.py").exists():
        raise argparse.ArgumentTypeError(f"{text!r} is no checkout of this product")
    return path


def _mode(text: str) -> str:
    if text not in (every := (*MODES, "all", "ceiling", "profile", "trace")):
        raise argparse.ArgumentTypeError(f"no mode is called {text!r}; there are {', '.join(every)}")
    return text


def _names(text: str) -> list[str]:
    names = text.split(",")
    every = (*NAMES, *ON_REQUEST)
    if unknown := [name for name in names if processes_of(name)[0] not in every]:
        raise argparse.ArgumentTypeError(f"no contender is called {unknown[0]!r}; there are {', '.join(every)}")
    return names


def _rates(text: str) -> list[float]:
    return [float(each) for each in text.split(",")]


def _words(numbers: Iterable[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)


def _sizes(text: str) -> list[int]:
    return [int(float(each)) for each in text.split(",")]
