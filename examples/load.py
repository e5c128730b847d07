"""People who write to each other for a while: how many messages a second, how long they take, and whether any is lost.

    python examples/load.py --people 10 --rate 20 --seconds 10

It signs up new people each time, so it is for servers of your own: other addresses than this machine's are refused
unless --remote is given. A server that run.py did not start must have RATE_LIMITS=off, or it lets one address sign up
five people an hour.
"""

import argparse
import asyncio
import math
import os
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from whatsapp_mini import Client

PASSWORD = "load load load"  # noqa: S105 - of accounts that nobody needs
MOST_PEOPLE, MOST_RATE, MOST_SECONDS = 200, 500, 120
LOGINS_AT_ONCE = 4
PATIENCE_SECONDS = 20.0


@dataclass
class Count:
    """What was sent, and what came of it. Times are seconds."""

    sent: dict[str, float] = field(default_factory=dict)
    came: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def arrived(self, text: str) -> None:
        """A message is there; its text is a number of ours."""
        if not self.came[text]:
            self.latencies.append(time.perf_counter() - self.sent[text])
        self.came[text] += 1

    def lost(self) -> int:
        """How many were accepted and did not arrive."""
        return sum(text not in self.came for text in self.sent)

    def doubled(self) -> int:
        """How many arrived more than once."""
        return sum(times > 1 for times in self.came.values())


async def person(url: str, number: str, count: Count, turn: asyncio.Semaphore, stack: AsyncExitStack) -> Client:
    """Somebody new, online, who counts what comes."""
    async with turn:  # hashing a password takes the server a core for a moment
        client = Client(url, number, PASSWORD)
        await client.api.sign_up("Load", number, PASSWORD)

        @client.on_message
        async def arrived(message) -> None:  # type: ignore[no-untyped-def]
            count.arrived(message.text)

        return await stack.enter_async_context(client)


async def talk(people: list[Client], count: Count, rate: float, seconds: float) -> float:
    """Send at this rate; seconds until everything has arrived, or nobody waits any longer."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as sending:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(began + number / rate - time.perf_counter())
            sender, to = random.sample(people, 2)
            count.sent[str(number)] = time.perf_counter()
            sending.create_task(sender.send(to.mobile_no, str(number)))
    until = time.perf_counter() + PATIENCE_SECONDS
    while count.lost() and time.perf_counter() < until:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # a second copy would come late
    return time.perf_counter() - began - 0.5


def percentile(values: list[float], part: float) -> float:
    """The value that this part of them does not exceed, in milliseconds."""
    return sorted(values)[max(0, math.ceil(len(values) * part) - 1)] * 1000 if values else math.nan


async def main() -> int:
    options = parse()
    count, turn, first = Count(), asyncio.Semaphore(LOGINS_AT_ONCE), random.randrange(10**8)
    numbers = [f"9199{(first + n) % 10**8:08}" for n in range(options.people)]
    async with AsyncExitStack() as stack:
        people = await asyncio.gather(*(person(options.url, number, count, turn, stack) for number in numbers))
        print(f"{options.people} people, {options.rate:g} messages a second, {options.seconds:g} s")
        seconds = await talk(list(people), count, options.rate, options.seconds)
    p50, p95, p99 = (percentile(count.latencies, part) for part in (0.5, 0.95, 0.99))
    print(f"delivered {len(count.came) / seconds:.1f}/s; latency p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms")
    print(f"sent {len(count.sent)}, lost {count.lost()}, doubled {count.doubled()}")
    return 1 if count.lost() or count.doubled() else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("WHATSAPP_MINI_URL", "http://127.0.0.1:5000"))
    parser.add_argument("--people", type=int, default=10, help=f"2 to {MOST_PEOPLE}")
    parser.add_argument("--rate", type=float, default=20, help=f"messages a second, all together, up to {MOST_RATE}")
    parser.add_argument("--seconds", type=float, default=10, help=f"up to {MOST_SECONDS}")
    parser.add_argument("--remote", action="store_true", help="the server is not on this machine, and it is mine")
    options = parser.parse_args()
    bounds = ((options.people, 2, MOST_PEOPLE), (options.rate, 0.1, MOST_RATE), (options.seconds, 0.1, MOST_SECONDS))
    if not all(least <= value <= most for value, least, most in bounds):
        parser.error("a number is out of its bounds; see --help")
    if urlsplit(options.url).hostname not in ("127.0.0.1", "::1", "localhost") and not options.remote:
        parser.error("that server is not on this machine: say --remote if it is yours")
    return options


raise SystemExit(asyncio.run(main()))
