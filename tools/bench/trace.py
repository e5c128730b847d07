"""What a chat and a connection cost in code: Python calls, functions, files; objects and reference circles.

A real server worker counts for itself (:mod:`tools.bench.traced_worker`) while real clients talk through it. Counts do
not depend on how busy a machine is, except that periodic work of the worker may fall into a recording: of several
recordings the one with the fewest calls is used.
"""

import argparse
import asyncio
import itertools
import json
import os
import platform
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.bench import traced_worker
from tools.bench.accounting import Ledger
from tools.bench.client import Client, SeedClient
from tools.bench.contenders import Contenders
from tools.bench.environment import Account, Connection, Environment, Recorder
from tools.bench.stack import Product
from tools.bench.talking import connect_all
from tools.devstack.options import ROOT

BATCHES: Final = (1, 8, 16)
RECORDINGS: Final = 8
WARM_UPS: Final = 3
ANSWER_SECONDS: Final = 20.0
CYCLE_SECONDS: Final = 20.0
QUIET_SECONDS: Final = 0.15
"""After a cycle, for what the server still settles."""
CONNECTIONS: Final = 3
IDLE_SECONDS: Final = 1.0
"""After a connection has opened or closed, for what the server still writes of it."""
POLL_SECONDS: Final = 0.005
STRETCHES: Final = (
    "chat → first commands to Redis",
    "answers → sent, chat delivered",
    "ack → commands",
    "answers → receipt delivered",
    "ack of the receipt → commands",
    "answers",
)
"""What happens between arrivals of bytes when one chat goes alone in ``wm.v1``, with both people on one worker."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One recording of some chats, each from its sending until all of it is settled.

    :param calls: functions of the product (``file:function``), each with the class that received bytes from the event
        loop by that call, or ""
    :param others: calls of Python functions of libraries
    """

    chats: int
    calls: Sequence[tuple[str, str]]
    others: int

    def stretches(self) -> list[list[str]]:
        """The calls, divided where bytes arrive for another class: from a client, then from Redis, and so on."""
        found: list[list[str]] = []
        source = ""
        for name, receiver in self.calls:
            if not found or (receiver and receiver != source):
                found.append([])
            source = receiver or source
            found[-1].append(name)
        return found


def functions(calls: Sequence[str]) -> int:
    """How many different ones."""
    return len(set(calls))


def files(calls: Sequence[str]) -> int:
    """How many different files they are in."""
    return len({name.partition(":")[0] for name in calls})


class Tracer:
    """Sends requests to a traced worker.

    :ivar env: what its servers have to be started with
    """

    def __init__(self, checkout: Path = ROOT) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="wm-bench-trace-"))
        shutil.copy(traced_worker.__file__, self._folder / "sitecustomize.py")
        self._numbers = itertools.count()
        self.env = {
            "PYTHONPATH": str(self._folder),
            traced_worker.FOLDER: str(self._folder),
            traced_worker.ROOT: str(checkout),
        }

    async def request(self, pid: int, do: str) -> dict[str, Any]:
        """Let a worker do one of the things in :mod:`tools.bench.traced_worker`; its answer.

        :raises TimeoutError: when it does not answer
        """
        number = next(self._numbers)
        (self._folder / "request.json").write_text(json.dumps({"number": number, "do": do}), encoding="utf-8")
        os.kill(pid, signal.SIGUSR1)
        answer = self._folder / f"answer-{number}.json"
        async with asyncio.timeout(ANSWER_SECONDS):
            while not answer.exists():
                await asyncio.sleep(POLL_SECONDS)
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return found

    def close(self) -> None:
        """Remove its directory."""
        shutil.rmtree(self._folder)


async def trace_cycles(environment: Environment, tracer: Tracer, pid: int, batches: Sequence[int]) -> list[Cycle]:
    """For each size of batch, the recording with the fewest calls.

    :param pid: the only server worker
    :raises TimeoutError: when chats or receipts do not arrive
    :raises RuntimeError: when a chat was lost, doubled or reordered
    """
    sender, recipient = await environment.accounts(2)
    ledger = Ledger(1)
    recorders = [Recorder(ledger), Recorder(ledger)]
    connections = await connect_all(environment, [sender, recipient], recorders)
    try:
        for _ in range(WARM_UPS):
            await _cycle(connections[0], recipient, ledger, 1)
        found = []
        for chats in batches:
            recordings = []
            for _ in range(RECORDINGS):
                await tracer.request(pid, "start")
                await _cycle(connections[0], recipient, ledger, chats)
                answer = await tracer.request(pid, "stop")
                calls = [(name, receiver) for name, receiver in answer["calls"]]
                recordings.append(Cycle(chats, calls, answer["others"]))
            found.append(min(recordings, key=lambda cycle: len(cycle.calls)))
    finally:
        for connection in connections:
            connection.end()
    if (defects := ledger.defects()).any():
        raise RuntimeError(f"the traced chats went wrong: {defects.text()}")
    return found


async def _cycle(sender: Connection, recipient: Account, ledger: Ledger, chats: int) -> None:
    for _ in range(chats):
        sender.chat(recipient.address, ledger.next_id(0))
    async with asyncio.timeout(CYCLE_SECONDS):
        while not ledger.settled():
            await asyncio.sleep(POLL_SECONDS)
    await asyncio.sleep(QUIET_SECONDS)


async def trace_connection(environment: Environment, tracer: Tracer, pid: int) -> dict[str, Any]:
    """The objects of one idle connection (:func:`tools.bench.traced_worker.describe`): of several, the fewest.

    Each person was connected once before, so that what is kept of people is not counted as part of the connection.
    """
    accounts = await environment.accounts(CONNECTIONS)
    for connection in await connect_all(environment, accounts, [_idle() for _ in accounts]):
        connection.end()
    found, connections = [], []
    try:
        for account in accounts:
            await asyncio.sleep(IDLE_SECONDS)
            await tracer.request(pid, "mark")
            connections += await connect_all(environment, [account], [_idle()])
            await asyncio.sleep(IDLE_SECONDS)
            found.append(await tracer.request(pid, "walk"))
    finally:
        for connection in connections:
            connection.end()
    return min(found, key=lambda each: sum(each["objects"].values()))


def _idle() -> Recorder:
    return Recorder(Ledger(0))


def cycle_table(cycles: Sequence[Cycle]) -> str:
    """Markdown: calls for each chat, different functions, their files; for one chat alone also each stretch."""
    rows: list[tuple[str, float, list[str], float | None]] = []
    for cycle in cycles:
        calls = [name for name, _ in cycle.calls]
        rows.append((f"{cycle.chats} at a time", len(calls) / cycle.chats, calls, cycle.others / cycle.chats))
        if cycle.chats == 1:
            stretches = cycle.stretches()
            labels = [*STRETCHES, *("later" for _ in stretches)]
            rows += [
                (f"… {label}", float(len(each)), each, None) for label, each in zip(labels, stretches, strict=False)
            ]
    lines = [("", "calls a chat", "functions", "files", "calls of libraries"), ("---",) * 5]
    lines += [
        (label, f"{count:.4g}", str(functions(calls)), str(files(calls)), "" if others is None else f"{others:.4g}")
        for label, count, calls, others in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def connection_text(found: Mapping[str, Any]) -> str:
    """The objects of a connection, most frequent classes first."""
    ranked = sorted(found["objects"].items(), key=lambda item: (-item[1], item[0]))
    objects = "\n".join(f"{count:6}  {name}" for name, count in ranked)
    return (
        f"objects of a connection: {sum(found['objects'].values())}, with {found['references']} references;"
        f" knot {found['knot']}, reference circles {found['circles']}"
        f" (through transports, timers and tasks as well: {found['circles_with_loop']})\n{objects}"
        + "".join(f"\n{count:6}  {name}, apart from them" for name, count in found["apart"].items())
    )


async def trace(contenders: Contenders, options: argparse.Namespace) -> str:
    """The whole report: this checkout, and that of ``--before``; each dialect."""
    parts = []
    for label, checkout in {"": ROOT, " before": options.before}.items():
        if checkout is None:
            continue
        tracer = Tracer(checkout)
        try:
            running = contenders.stack(tracer.env, checkout=checkout)
            for kind in _kinds(options.dialect):
                environment = Product(running, "everysec", name="traced", kind=kind)
                (pid,) = environment.processes()["server"]
                cycles = await trace_cycles(environment, tracer, pid, BATCHES)
                connection = await trace_connection(environment, tracer, pid)
                heading = f"### trace{label}, {kind.SUBPROTOCOL or 'seed dialect'}, Python {platform.python_version()}"
                parts += [heading, cycle_table(cycles), connection_text(connection)]
                if options.out and kind is Client:
                    _write_calls(options.out.with_suffix(f".calls{label.replace(' ', '-')}.txt"), cycles[0])
                await environment.close()
        finally:
            tracer.close()
    return "\n\n".join(parts)


def _kinds(dialect: str) -> list[type[Client]]:
    kinds: dict[str, list[type[Client]]] = {"wm.v1": [Client], "seed": [SeedClient], "both": [Client, SeedClient]}
    return kinds[dialect]


def _write_calls(path: Path, cycle: Cycle) -> None:
    """All calls of one cycle, in order, a blank line between stretches."""
    path.write_text("\n\n".join("\n".join(each) for each in cycle.stretches()) + "\n", encoding="utf-8")
