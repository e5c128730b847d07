"""``python -m tools.chaos``, which ``run.py chaos`` runs once everything is installed."""

import argparse
import random
import resource
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from tools.chaos.bugs import BUGS, hunt
from tools.chaos.campaign import NOTHING, Campaign, Plan, header
from tools.chaos.faults import FAULTS
from tools.chaos.fuzz import fuzzing
from tools.chaos.scenario import Times
from tools.chaos.servers import ROOT
from tools.devstack.terminal import STOPPING

say = partial(print, flush=True)
CI_SEED: Final = 1
CI_LEAVES_OUT: Final = frozenset(
    {
        "kill-redis-10s",
        "kill-redis-everysec-10s",
        "delay-pubsub",
        "no-commands",
        "no-subscribe",
        "kill-all-workers",
        "product-clock-behind",
        "postgres-restart",
        "double-arq",
        "trickle",
        "freeze-redis",
        "hole-pubsub",
        "failover",
        "failover-wait",
        "replica-frozen",
        "redis-clock-ahead",
        "product-clock-ahead",
        "disk-full-everysec",
        "kill-arq",
        "postgres-down",
        "expiry",
    }
)
"""Faults that are much like others, and faults that need a stack of their own: without them it takes ten minutes."""
CI_PAIRS: Final = (("kill-worker", "no-replies"), ("kill-redis", "freeze-worker"), ("flushall", "kill-both-workers"))
CI_TIMES: Final = Times(before=1.0, after=1.0, drain=20.0)

CLIENTS_TIMES: Final = Times(before=4.0, after=4.0, drain=60.0, people=16, rate=60.0)
"""With real clients, each of which is a program of its own to the machine, and pauses for longer."""
FUZZ_TIMES: Final = Times(before=5.0, people=10, rate=10.0)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    :raises SystemExit: with the usage, when it is wrong
    """
    parser = argparse.ArgumentParser(
        prog="run.py chaos",
        description="Break the product on a stack of its own while clients chat, and check that nothing is lost.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("fault", nargs="*", help="names from --list; a+b for two at once (default: all, each alone, then pairs)")
    add("--seed", type=int, help=f"of everything random (ci, bugs: {CI_SEED}; else a new one, which is printed)")
    add("--minutes", type=float, help="begin nothing after so long; with --part long, go on with pairs until then")
    add("--part", choices=["ci", "long"], default="ci", help="short faults (default), or long ones and random pairs")
    add(
        "--clients", default="", metavar="NAMES", help="more people use these clients: python,js (fewer chats a second)"
    )
    add("--list", action="store_true", help="what can be broken")
    add(
        "--bugs",
        nargs="*",
        metavar="BUG",
        help="put bugs into the product on purpose: each must be found (default: all)",
    )
    add("--without", action="store_true", help="with --bugs: their scenarios without them, which must be green")
    add("--fuzz", type=float, metavar="MINUTES", help="visitors send wrong input for so long, while clients chat")
    add("--out", type=Path, default=ROOT / ".data" / "chaos", help="for results, and histories of red scenarios")
    options = parser.parse_args(arguments)
    for name in options.fault:
        for each in name.split("+"):
            if each not in FAULTS and name != NOTHING:
                parser.error(f"there is no fault {each!r}; see --list")
    for name in options.bugs or ():
        if name not in BUGS:
            parser.error(f"there is no bug {name!r}; see --list")
    return options


def plans(options: argparse.Namespace, seed: int) -> list[Plan]:
    """The scenarios that the options ask for, without random pairs."""
    if options.fault:
        names = [tuple(name.split("+")) for name in options.fault]
    elif options.part == "ci":
        names = [*((name,) for name in FAULTS if name not in CI_LEAVES_OUT), *CI_PAIRS, (NOTHING,)]
    else:
        names = [*((name,) for name in FAULTS), (NOTHING,)]
    kinds = [tuple(FAULTS[name] for name in some if name != NOTHING) for some in names]
    return [Plan(some, seed + n) for n, some in enumerate(kinds)]


def main(options: argparse.Namespace) -> int:
    """Run the command; the exit code is 1 when anything was red."""
    if options.list:
        for name, fault in FAULTS.items():
            missing = f"  (not here: needs {fault.profile.missing})" if fault.profile.missing else ""
            say(f"{name:<26} {fault.what}{missing}")
        say(f"{NOTHING:<26} nothing: what must hold outside of faults\n\nBugs on purpose, for --bugs:")
        for name, bug in BUGS.items():
            say(f"{name:<26} {bug.what}")
        return 0
    _raise_limits()
    for number in STOPPING:  # all of them act as Ctrl-C, which asyncio handles
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if options.bugs is not None:
        return _hunt(options)
    if options.fuzz is not None:
        return _fuzz(options)
    long = options.part == "long"
    seed = options.seed if options.seed is not None else random.randrange(10**6) if long else CI_SEED  # noqa: S311
    minutes = options.minutes if options.minutes is not None else 60.0 if long else 1000.0
    until = time.monotonic() + 60 * minutes
    times = Times() if long or options.fault else CI_TIMES
    if options.clients:
        times = replace(CLIENTS_TIMES, clients=options.clients.split(","))
    campaign = Campaign(options.out, say, long=long, times=times)
    say(f"seed {seed}\n{header()}")
    try:
        campaign.run(plans(options, seed), until)
        if long and not options.fault:
            campaign.run_pairs(random.Random(seed), until)  # noqa: S311
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    finally:
        campaign.close()
        campaign.write(seed)
    return _sum_up(campaign, options.out)


def _fuzz(options: argparse.Namespace) -> int:
    seed = CI_SEED if options.seed is None else options.seed
    campaign = Campaign(options.out, say, times=FUZZ_TIMES)
    say(f"seed {seed}\n{header()}")
    try:
        campaign.run([Plan((fuzzing(options.fuzz, seed, say),), seed)])
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    finally:
        campaign.close()
        campaign.write(seed)
    return _sum_up(campaign, options.out, f"--fuzz {options.fuzz:g}")


def _hunt(options: argparse.Namespace) -> int:
    bugs = [BUGS[name] for name in options.bugs or BUGS]
    run = hunt.Hunt(options.out, say, sound=options.without, seed=options.seed)
    say(hunt.header())
    try:
        run.run(bugs)
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    missed = [finding.bug.name for finding in run.findings if not finding.good]
    wrong = "red without their bugs" if options.without else "not caught"
    say(f"\n{len(run.findings)} bugs, {len(missed)} {wrong}" + (f": {' '.join(missed)}" if missed else ""))
    say(f"histories and logs: {options.out}/bugs" if missed else "")
    return 1 if missed else 0


def _sum_up(campaign: Campaign, out: Path, again: str = "{name}") -> int:
    for line in dict.fromkeys(campaign.skipped):
        say(f"skipped  {line}")
    red = [outcome for outcome in campaign.outcomes if outcome.red]
    sent = sum(outcome.report.sent for outcome in campaign.outcomes)
    acknowledged = sum(outcome.report.acknowledged for outcome in campaign.outcomes)
    figures = f"{len(campaign.outcomes)} scenarios, {sent} sent, {acknowledged} acknowledged"
    say(f"\n{figures}, {len(red)} red, {len(campaign.failed)} failed")
    say(f"all figures: {out}/result.json")
    for outcome in red:
        say(f"    again: python3 run.py chaos --seed {outcome.seed} " + again.format(name=outcome.name))
    return 1 if red or campaign.failed or not campaign.outcomes else 0


def _raise_limits() -> None:
    """Allow thousands of sockets, here and in the servers, which inherit the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main(parse(sys.argv[1:])))
