"""``python -m tools.bench``: what ``run.py bench`` becomes once everything is installed."""

import argparse
import asyncio
import gc
import resource
import sys
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

import uvloop

from tools.bench import drawing, report
from tools.bench.contenders import Contenders
from tools.bench.environment import ConnectError
from tools.bench.modes import Bench
from tools.bench.options import parse
from tools.bench.profile import profile
from tools.bench.trace import trace
from tools.devstack.process import ChildError
from tools.devstack.terminal import STOPPING

print_line = partial(print, flush=True)


def main(options: argparse.Namespace) -> int:
    """Measure. The exit code is 1 when a run of this product was void, or when a server or a client failed."""
    _raise_limits()
    gc.disable()  # it would walk ten thousand connections again and again, on the processors that the servers need
    try:
        return uvloop.run(until_stopped(session(options)))
    except asyncio.CancelledError:
        print_line("Stopped.")
        return 130
    except (ChildError, ConnectError, FileNotFoundError) as trouble:
        print_line(f"\n{trouble}")
        return 1


async def until_stopped(work: Coroutine[Any, Any, int]) -> int:
    """Run ``work``. SIGINT and SIGTERM cancel it once, so that servers are stopped and the report is still written.

    (An exception raised by a signal handler would be lost in the callback that the loop happens to run.)

    :raises asyncio.CancelledError: after such a signal
    """
    task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()
    received: list[int] = []

    def stop(number: int) -> None:
        if not received:
            task.cancel()
        received.append(number)

    for each in STOPPING:
        loop.add_signal_handler(each, stop, each)
    return await task


def _raise_limits() -> None:
    """Allow thousands of sockets, here and in the servers, which inherit the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def session(options: argparse.Namespace) -> int:
    """Run all requested modes and write the report."""
    contenders = Contenders(
        options.workers, options.data, options.url, options.ack_each, options.before, options.limits
    )
    bench, start = Bench(options, contenders, print_line), report.about()
    try:
        if "trace" in options.mode:
            print_line(await trace(contenders, options))
            return 0
        if "profile" in options.mode:
            await profile(contenders, options, print_line)
            return 0
        for mode in ["ceiling", *(mode for mode in options.mode if mode != "ceiling")]:
            try:
                await bench.run(mode)
            finally:
                await contenders.close()
    finally:
        await contenders.close()
        if bench.results:
            _report(options, bench, start)
    return 1 if any(result.void for result in bench.results if result.contender.startswith("mini")) else 0


def _report(options: argparse.Namespace, bench: Bench, start: Mapping[str, Any]) -> None:
    contents = report.document(start, [result.record() for result in bench.results])
    text = report.table(contents["summary"])
    print_line(f"\n{text}")
    if options.out:
        report.write(options.out.with_suffix(".json"), contents)
        options.out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
        drawing.draw(options.out.with_suffix(".png"), contents)
        print_line(f"\nwritten: {options.out}.json, .md, .png")
        if len(drawing.rates(contents["summary"])) > 1:
            path = options.out.with_name(f"{options.out.name}-rates.png")
            drawing.draw_rates(path, contents)
            print_line(f"written: {path}")


if __name__ == "__main__":
    sys.exit(main(parse(sys.argv[1:])))
