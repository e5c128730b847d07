"""The table of the floor: what a message and a connection cost at least, beside what they cost here.

Both are measured in one run of ``bench profile``, and the page that has the table is written by it.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tools.bench import floor
from tools.bench.connecting import idle, storm
from tools.bench.report import about
from tools.bench.result import Result
from tools.bench.stack import Product
from tools.bench.talking import closed, open_loop

BEGIN: Final = "<!-- written by `run.py bench profile --page`: begin -->"
END: Final = "<!-- end -->"
TOGETHER: Final = 8
"""Chats that go together in the closed loop, as many as a pair has in flight."""
TRIPS: Final = 5
"""A chat alone: the server reads and writes five times each. It reads chat, reply, ack, reply, ack of the receipt; it
writes commands, ``sent``, chat, commands, receipt."""
REDIS_TRIPS: Final = 2
SCRIPTS: Final = 5
"""Store, fetch; note, store the receipt, fetch. What is settled goes along."""
RATES: Final = (500.0, 4_000.0)
CONNECTIONS: Final = 1_000


class Part(NamedTuple):
    """One line of the table.

    :param once: CPU µs of doing it once, at least
    :param times: how often a chat that goes alone needs it
    :param role: whose time it is
    :param together: divides it when ``TOGETHER`` chats go together
    """

    what: str
    once: float
    times: int
    role: str
    together: float = TOGETHER

    def alone(self) -> float:
        """µs of a chat that goes alone."""
        return self.once * self.times


async def parts(environment: Product) -> list[Part]:
    """Measure the floor on the stack's machine, and on its Redis."""
    redis, (pid,) = environment.running.redis, environment.processes()["redis"]
    alone = await floor.redis(redis, pid, 1, SCRIPTS)
    eight = await floor.redis(redis, pid, TOGETHER, SCRIPTS)
    calls, woken = floor.system_calls(), floor.woken_up()
    return [
        Part("system calls: a send and a receive over TCP", calls, TRIPS, "server, kernel"),
        Part("to go to sleep and be woken up for it", max(0.0, woken - calls), TRIPS, "server, kernel"),
        Part("JSON of three frames in, three out", floor.json(), 1, "server, code", 1),
        Part("WebSocket frames: three in, three out", floor.framing(), 1, "server, code"),
        Part("event loop: a turn", await floor.loop_turn(), TRIPS, "server, code"),
        Part("Redis' protocol: a call packed, a reply parsed", floor.redis_client(), SCRIPTS, "server, code"),
        Part("commands, without scripts", alone.commands, 1, "redis", alone.commands / eight.commands),
        Part("calls of empty scripts", alone.scripts, 1, "redis", alone.scripts / eight.scripts),
        Part("to be woken up, and write to the append-only file", alone.trip, REDIS_TRIPS, "redis"),
    ]


class Used(NamedTuple):
    """What one message took, in µs by role."""

    title: str
    by_role: Mapping[str, float]


def used(title: str, result: Result) -> Used:
    """From a run."""
    roles = result.activity["roles"]
    server, redis = roles["server"], roles["redis"]
    kernel = min(server["system_us"], server["ran_us"])
    return Used(title, {"server, kernel": kernel, "server, code": server["ran_us"] - kernel, "redis": redis["ran_us"]})


def message_table(found: Sequence[Part], runs: Sequence[Used]) -> list[list[str]]:
    """Titles and lines: each part, and under those of a role what that role used."""
    titles = ["a message, CPU µs", "once", "times", "alone, at least", f"{TOGETHER} together, at least"]
    lines = [[*titles, *(f"used, {run.title}" for run in runs)], ["---"] * (len(titles) + len(runs))]
    for role in dict.fromkeys(part.role for part in found):
        theirs = [part for part in found if part.role == role]
        for part in theirs:
            least = [f"{part.alone():.2g}", f"{part.alone() / part.together:.2g}"]
            lines.append([part.what, f"{part.once:.2g}", str(part.times), *least, *[""] * len(runs)])
        sums = [sum(part.alone() for part in theirs), sum(part.alone() / part.together for part in theirs)]
        lines.append(
            [
                f"**{role}**",
                "",
                "",
                *(f"**{each:.3g}**" for each in sums),
                *(f"**{run.by_role[role]:.3g}**" for run in runs),
            ]
        )
    return lines


async def connection_table(environment: Product) -> list[list[str]]:
    """Memory and CPU of a connection, at least and here."""
    idling = await idle(environment, connections=CONNECTIONS, seconds=1)
    storming = await storm(environment, connections=CONNECTIONS)
    kernel, token = floor.connection_calls(), floor.token()
    each = storming.microseconds()
    lines = [["a connection", "at least", "used"], ["---"] * 3]
    lines.append(["memory of an idle one, KB", f"{floor.connection_kb():.2g}", f"{idling.figures['server_kb_each']:g}"])
    lines.append(["… in Redis, KB", "", f"{idling.figures['redis_kb_each']:g}"])
    lines.append(
        [
            "to connect, server's CPU µs (system calls of both ends, token's signature)",
            f"{kernel + token:.3g}",
            f"{each['server']:g}",
        ]
    )
    lines.append(["… Redis' CPU µs", "", f"{each['redis']:g}"])
    return lines


async def measure(environment: Product, fresh: Product, options: Any) -> str:
    """The whole table in Markdown, with when and on what it was measured.

    :param fresh: on a stack that has done nothing yet
    """
    start = about()
    how = {"warm_up": options.warm_up, "seconds": options.seconds}
    runs = [used(f"{rate:g}/s", await open_loop(environment, pairs=options.pairs, rate=rate, **how)) for rate in RATES]
    runs.append(used("closed", await closed(environment, pairs=options.pairs, in_flight=options.in_flight, **how)))
    tables = [message_table(await parts(environment), runs), await connection_table(fresh)]
    machine, facts = start["machine"], await environment.facts()
    where = f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']}"
    servers = f"{facts['redis']}, appendfsync {facts['appendfsync']}, {facts['workers']} server processes"
    who = f"{servers}; contender `{environment.name}`"
    head = textwrap.fill(f"Measured {start['when'][:10]} at {start['commit']}: {where}; {who}.", 118)
    return "\n\n".join([head, *map(as_markdown, tables)])


def as_markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_page(path: Path, text: str) -> None:
    """Put it between the markers of the page.

    :raises ValueError: when the page does not have both, once
    """
    page = path.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"{path} has no place for the table: a line {BEGIN} and behind it a line {END}")
    before, _, rest = page.partition(BEGIN)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
