"""Fuzzing as a fault that excuses nothing: clients chat meanwhile, and must not notice it."""

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from tools.chaos import probe
from tools.chaos.faults import Fault
from tools.chaos.fuzz.mutations import CANARY, Mutator
from tools.chaos.fuzz.raw_client import acknowledge_all
from tools.chaos.fuzz.tally import Tally
from tools.chaos.fuzz.visits import VISITORS, Visitor
from tools.chaos.history import read
from tools.chaos.stack import Profile, Stack
from tools.devstack.process import wait_until

PEOPLE: Final = 24
GUESTS: Final = 4
MORE_MB: Final = 10.0
"""So much more one worker may hold afterwards."""
MORE_EACH: Final = 6
"""So many more descriptors, or tasks, one worker may have afterwards: clients come and go during the measurement."""
SLOWEST_SECONDS: Final = 1.0
"""99 of 100 chats of the regular clients are answered within."""
BACK_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Worker:
    """The figures of one worker process. ``tasks``: of asyncio."""

    megabytes: float
    descriptors: int
    tasks: int

    def complaints(self, base: "Worker") -> list[str]:
        """What is above base."""
        more = {"megabytes": MORE_MB, "descriptors": MORE_EACH, "tasks": MORE_EACH}
        mine, its = asdict(self), asdict(base)
        return [f"{name}: {mine[name]:g}, base {its[name]:g}" for name in more if mine[name] > its[name] + more[name]]


def measure(stack: Stack) -> dict[int, Worker]:
    """All workers, by process id. A signal makes each of them count its tasks (patch ``tasks``)."""
    pids = stack.pids
    for pid in pids:
        (stack.tasks / str(pid)).unlink(missing_ok=True)
        os.kill(pid, signal.SIGUSR1)
    if not wait_until(lambda: all((stack.tasks / str(pid)).exists() for pid in pids), 5):
        raise TimeoutError("a worker did not count its tasks")
    tasks = {pid: int((stack.tasks / str(pid)).read_text(encoding="ascii")) for pid in pids}
    return {pid: Worker(round(probe.megabytes(pid), 1), probe.descriptors(pid), tasks[pid]) for pid in pids}


class Fuzz(Fault):
    """Not among :data:`FAULTS`: it takes long, and needs the patch ``tasks``."""

    name, what, seconds = "fuzz", "visitors who send wrong input", 0.0
    profile = Profile(patches="tasks", knobs=(("BAD_FRAMES_PER_MINUTE", "20"), ("COOLDOWN_SECONDS", "0")))
    mild = True
    minutes: ClassVar[float] = 10.0
    seed: ClassVar[int] = 1
    say: ClassVar[Callable[[str], None]] = print

    def __init__(self) -> None:
        self.tally = Tally()
        self._wrong: list[str] = []
        self._secrets: list[str] = []
        self._mobiles: list[str] = []
        self._figures: dict[str, Any] = {}
        self._peak: dict[int, float] = {}
        self._began = self._ended = 0.0

    def strike(self, stack: Stack) -> None:
        """A fifth of the time, at most a minute, to warm up. Then the rest, between two measurements."""
        self._secrets, self._mobiles = stack.tokens(PEOPLE), stack.mobiles(PEOPLE)
        warm = min(60.0, 12 * self.minutes)
        asyncio.run(self._visit(stack, warm, self.seed + 1))
        self.tally, base = Tally(), measure(stack)
        self._began = time.monotonic()
        asyncio.run(self._visit(stack, 60 * self.minutes - warm, self.seed))
        self._ended = time.monotonic()
        after = self._settle(stack, base)
        self._figures = {
            "seconds": round(self._ended - self._began, 1),
            "before": [asdict(worker) for worker in base.values()],
            "peak_megabytes": [round(peak, 1) for peak in self._peak.values()],
            "after": [asdict(worker) for worker in after.values()],
        }

    def _settle(self, stack: Stack, base: dict[int, Worker]) -> dict[int, Worker]:
        until = time.monotonic() + BACK_SECONDS
        while True:
            now = measure(stack)
            self._wrong = [
                f"worker {pid}: {each}" for pid in base.keys() & now.keys() for each in now[pid].complaints(base[pid])
            ]
            self._wrong += ["another worker than before"] if base.keys() != now.keys() else []
            if not self._wrong or time.monotonic() > until:
                return now
            time.sleep(1)

    async def _visit(self, stack: Stack, seconds: float, seed: int) -> None:
        ports = [group.port for group in stack.groups]
        mobiles = self._mobiles[GUESTS:]
        visitors = [
            Visitor(
                Mutator(random.Random(f"{seed} {n}"), mobiles),  # noqa: S311 - a seed that can be repeated
                self.tally,
                ports,
                self._secrets[GUESTS:],
                self._secrets[:GUESTS],
            )
            for n in range(VISITORS)
        ]
        tasks = [asyncio.ensure_future(visitor.run_forever()) for visitor in visitors]
        until = time.monotonic() + seconds
        while time.monotonic() < until and stack.groups[0].alive():  # it ends with a campaign that was stopped
            foreign = await asyncio.to_thread(self._watch, stack, set(mobiles))
            for visitor, task in zip(visitors, tasks, strict=True):
                visitor.mutator.foreign = foreign
                if task.done():
                    task.result()
            await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await acknowledge_all(stack.groups[1].port, self._secrets)

    def _watch(self, stack: Stack, ours: set[str]) -> list[tuple[str, str]]:
        """Note each worker's peak memory; mobile numbers and entries of people who are not visitors."""
        for pid in stack.pids:
            self._peak[pid] = max(self._peak.get(pid, 0.0), probe.megabytes(pid))
        with stack.client() as client:
            names = [str(name) for name in client.scan_iter("mailbox:*", count=1000)]
            others = [name for name in names if name[9:-1] not in ours][:50]
            return [(name[9:-1], str(each)) for name in others for each, _ in client.xrevrange(name, count=3)] or []

    def after(self, stack: Stack) -> list[str]:
        """Wrong answers, workers above base, and secrets in the logs."""
        latency = self._latency(stack)
        found = {"fuzz": self.tally.figures(), **self._figures, "seconds_of_people": latency}
        type(self).say(json.dumps(found, indent=1))
        wrong = [f"{count} times: {sentence}" for sentence, count in self.tally.wrong.items()]
        if latency.get("during", {}).get("p99", 0.0) > SLOWEST_SECONDS:
            wrong.append(f"clients waited: {latency}")
        return wrong + self._wrong + self._leaks(stack)

    def _leaks(self, stack: Stack) -> list[str]:
        secrets = [CANARY.lower().encode(), *(secret.rpartition(".")[2].lower().encode() for secret in self._secrets)]
        found = []
        for path in stack.logs.glob("*.log"):
            text = path.read_bytes().lower()
            found += [f"{path.name} holds what a client sent"] if any(each in text for each in secrets) else []
            found += [f"{path.name} holds a traceback"] if b"traceback" in text else []
        return found

    def _latency(self, stack: Stack) -> dict[str, dict[str, float]]:
        """Of the regular clients: seconds from a send to its answer on the same connection."""
        began: dict[tuple[str, str, str, int], float] = {}
        took: dict[str, list[float]] = {"before": [], "during": []}
        for event in read(_history(stack, self.seed)):
            key = (event.mobile, event.peer, event.message_id, event.connection)
            if event.kind == "send":
                began[key] = event.t
            elif event.kind == "answer" and key in began and event.t < self._ended:
                when = "during" if began[key] > self._began else "before"
                took[when].append(event.t - began.pop(key))
        return {when: _percentiles(seconds) for when, seconds in took.items() if seconds}


def _history(stack: Stack, seed: int) -> Path:
    return stack.home / f"{Fuzz.name}-{seed}.jsonl"


def _percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    at = {f"p{part}": ordered[min(len(ordered) - 1, len(ordered) * part // 100)] for part in (50, 99)}
    return {
        "count": len(ordered),
        **{name: round(value, 4) for name, value in at.items()},
        "max": round(ordered[-1], 4),
    }


def fuzzing(minutes: float, seed: int, say: Callable[[str], None]) -> type[Fuzz]:
    """The fault with this length and seed."""
    return type("Fuzzing", (Fuzz,), {"minutes": minutes, "seed": seed, "say": staticmethod(say)})
