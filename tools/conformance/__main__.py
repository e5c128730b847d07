"""``python -m tools.conformance``: try the clients against docs/clients.md."""

import argparse
import asyncio
import os
import shlex
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tools.conformance import bugs, table
from tools.conformance.case import CASES
from tools.conformance.running import Client, Outcome, chosen, known_clients, run

say = partial(print, flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    :raises SystemExit: with the usage, when it is wrong
    """
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("case", nargs="*", help="rules (C15) or names from --list (default: all)")
    add("--clients", default=",".join(known_clients()), help="of this repository, with commas (default: %(default)s)")
    add("--agent", action="append", default=[], metavar="NAME=COMMAND", help="another client, by its agent")
    add("--at-once", type=int, default=4 * (os.cpu_count() or 1), help="so many cases together (%(default)s)")
    add("--table", type=Path, metavar="FILE", help="write the table as Markdown")
    add("--list", action="store_true", help="the cases")
    add("--bugs", nargs="*", metavar="BUG", help="bugs put into copies of the clients: each must be found")
    options = parser.parse_args(arguments)
    try:
        options.cases = chosen(options.case)
        options.tried = _clients(options)
    except ValueError as error:
        parser.error(str(error))
    return options


def _clients(options: argparse.Namespace) -> list[Client]:
    known = known_clients()
    for name in filter(None, options.clients.split(",")):
        if name not in known:
            raise ValueError(f"there is no client {name!r} here; known: {', '.join(known)}")
    others = [
        Client(name, shlex.split(command)) for name, _, command in (each.partition("=") for each in options.agent)
    ]
    return [known[name] for name in options.clients.split(",") if name] + others


def main(options: argparse.Namespace) -> int:
    """Run the command; the exit code is 1 when a case failed, or a bug was not found."""
    if options.list:
        for case in CASES:
            say(f"{case.rule:<4} {case.name:<44} {case.what}")
        return 0
    if options.bugs is not None:
        return asyncio.run(bugs.hunt(options.bugs, options.tried, options.at_once, say))
    began = time.monotonic()
    outcomes = asyncio.run(run(options.tried, options.cases, at_once=options.at_once, done=_tell))
    failed = [each for each in outcomes if each.why]
    say(f"\n{table.as_text(outcomes)}")
    say(f"\n{len(outcomes)} played, {len(failed)} failed, {time.monotonic() - began:.0f} s")
    if options.table:
        options.table.write_text(table.as_markdown(outcomes), encoding="utf-8")
    return 1 if failed else 0


def _tell(outcome: Outcome) -> None:
    if outcome.why:
        say(f"{outcome.client:<7} {outcome.case.name}: {outcome.why}")


if __name__ == "__main__":
    sys.exit(main(parse(sys.argv[1:])))
