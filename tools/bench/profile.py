"""Where a message's time goes: py-spy on one server worker, and what Redis counts by command, during a closed run; and
what it would cost at least."""

import argparse
import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from tools.bench import limits
from tools.bench.contenders import Contenders
from tools.bench.modes import Print
from tools.bench.stack import Product
from tools.bench.talking import closed

LINES: Final = 45
_START_SECONDS: Final = 1.0


async def profile(contenders: Contenders, options: argparse.Namespace, print_line: Print) -> None:
    """Run, and print. py-spy slows the worker that it samples by a few percent.

    :raises FileNotFoundError: when py-spy is not installed
    :raises TypeError: for servers that are not of our own starting
    """
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise FileNotFoundError("py-spy is missing; `python3 run.py bench` installs it")
    name = next((name for name in options.contenders if name.startswith("mini")), "mini-everysec")
    environment = contenders.get(name)
    if not isinstance(environment, Product):
        raise TypeError("only a stack of our own can be looked into")
    await environment.prepare()
    await environment.running.redis.config_resetstat()
    worker = environment.processes()["server"][0]
    stacks = (options.out or Path("bench-profile")).with_suffix(".stacks.txt")
    command = [spy, "record", "--pid", str(worker), "--format", "raw", "--output", str(stacks)]
    command += ["--duration", str(int(options.seconds)), "--rate", "200", "--nonblocking", "--function"]
    spying = asyncio.create_task(_spy(command, options.warm_up + _START_SECONDS))
    how = {"warm_up": options.warm_up, "seconds": options.seconds + 2 * _START_SECONDS}
    result = await closed(environment, pairs=options.pairs, in_flight=options.in_flight, **how)
    await spying
    print_line(result.line())
    raw = stacks.read_text(encoding="utf-8")
    print_line(
        f"\nOne worker (whole stacks: {stacks}), time in functions themselves:\n{by_function(raw, inclusive=False)}"
    )
    print_line(f"\nwith all they call:\n{by_function(raw, inclusive=True)}")
    commands: dict[str, Any] = await environment.running.redis.info("commandstats")
    print_line(
        f"\nRedis, by command, for each of {result.ledger.sent} messages:\n{by_command(commands, result.ledger.sent)}"
    )
    fresh = Product(contenders.stack(), "everysec", name="mini-fresh")
    contenders.add(fresh)
    text = await limits.measure(environment, fresh, options)
    print_line(f"\nWhat it costs at least, and what is used:\n\n{text}")
    if options.page:
        limits.write_page(options.page, text)
        print_line(f"\nwritten: {options.page}")


async def _spy(command: list[str], after: float) -> None:
    await asyncio.sleep(after)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    if await process.wait() != 0:
        raise RuntimeError("py-spy failed; its words are above (tracing another process may be forbidden here)")


def by_function(raw: str, *, inclusive: bool) -> str:
    """Functions by share of the samples, most frequent first. ``raw`` has ``frame;frame;… count`` a line.

    :param inclusive: count a sample for every function on the stack, not for the innermost alone
    """
    counts: dict[str, int] = {}
    total = 0
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        total += int(count)
        for frame in set(frames) if inclusive else frames[-1:]:
            counts[frame] = counts.get(frame, 0) + int(count)
    ranked = sorted(counts.items(), key=lambda item: -item[1])[:LINES]
    return "\n".join(f"{100 * count / (total or 1):6.1f} %  {name}" for name, count in ranked)


def by_command(commands: dict[str, Any], messages: int) -> str:
    """Calls and µs of each command for one message, dearest first. (What a script calls is counted in the script, and
    once more by itself.)"""
    ranked = sorted(commands.items(), key=lambda item: -item[1]["usec"])
    lines = [f"{'command':<20}{'calls':>8}{'µs':>9}{'µs a call':>11}"]
    for name, counted in ranked:
        calls, usec = counted["calls"] / messages, counted["usec"] / messages
        if usec >= 0.05:
            lines.append(
                f"{name.removeprefix('cmdstat_'):<20}{calls:>8.2f}{usec:>9.2f}{counted['usec_per_call']:>11.2f}"
            )
    return "\n".join(lines)
