"""What processes did in the measured part of a run, counted from outside: how often they went to sleep and were woken,
ran and waited for a processor, read and wrote; and which commands Redis ran. Linux only: it reads /proc.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis

from tools.bench import cpu
from tools.bench.cpu import Processes

_COMMAND: Final = re.compile(rb'^\+?\S+ \[\d+ (\S+)\] "([^"]*)"(?: "([^"]*)")?')
"""A line of MONITOR: when, which client (``lua``: a script), command, first argument (of EVALSHA: the script)."""
END: Final = b"the end of what is watched"
MONITOR_SECONDS: Final = 30.0
"""How long Redis may take to begin, and to say the rest."""
MONITOR_BYTES: Final = 64 * 1024 * 1024
"""Of MONITOR's output; what comes after it is not looked at."""


class Activity(NamedTuple):
    """Of all threads of one process.

    :param voluntary: context switches to wait for something; each is a wake-up later
    :param involuntary: context switches because another process wanted the processor
    :param slices: how often it got a processor
    :param ran: seconds on a processor
    :param system: seconds of them in the kernel, in steps of 10 ms
    :param waited: seconds for which it was ready and had none
    :param reads: system calls that read from files, pipes or sockets; ``recv`` is not among them
    :param writes: system calls that write; ``send`` is not among them
    """

    voluntary: float = 0
    involuntary: float = 0
    slices: float = 0
    ran: float = 0.0
    system: float = 0.0
    waited: float = 0.0
    reads: float = 0
    writes: float = 0

    def since(self, before: "Activity") -> "Activity":
        """What was added."""
        return Activity(*(round(now - then, 6) for now, then in zip(self, before, strict=True)))

    def each(self, count: int) -> dict[str, float]:
        """For one message, with times in µs."""
        switches, micro = self.voluntary + self.involuntary, 1e6 / count
        return {
            "switches": round(switches / count, 3),
            "involuntary": round(self.involuntary / count, 3),
            "slices": round(self.slices / count, 3),
            "ran_us": round(self.ran * micro, 1),
            "system_us": round(self.system * micro, 1),
            "waited_us": round(self.waited * micro, 1),
            "reads": round(self.reads / count, 3),
            "writes": round(self.writes / count, 3),
        }


def activity(pid: int) -> Activity:
    """Since the process started. Threads that have ended are left out.

    :raises FileNotFoundError: when there is no such process
    """
    total = Activity()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            status = _numbers(thread / "status")
            ran, waited, slices = map(int, (thread / "schedstat").read_text(encoding="ascii").split())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        switches = status["voluntary_ctxt_switches"], status["nonvoluntary_ctxt_switches"]
        total = _sum(total, Activity(*switches, slices, ran / 1e9, 0.0, waited / 1e9))
    io = _numbers(Path(f"/proc/{pid}/io"))
    return total._replace(system=cpu.system_seconds(pid), reads=io["syscr"], writes=io["syscw"])


def _numbers(path: Path) -> dict[str, int]:
    """The lines ``name: number`` of a file."""
    pairs = (line.partition(":") for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return {name: int(value) for name, _, value in pairs if value.strip().isdigit()}


def _sum(*several: Activity) -> Activity:
    return Activity(*map(sum, zip(*several, strict=True)))


def activities(processes: Processes) -> dict[str, dict[int, Activity]]:
    """Of each process of each role, and of our own as ``client``. A process that has ended is left out."""
    found: dict[str, dict[int, Activity]] = {}
    for role, pids in {**processes, "client": [os.getpid()]}.items():
        found[role] = {}
        for pid in pids:
            try:
                found[role][pid] = activity(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


@dataclass(frozen=True, slots=True)
class WatchedRedis:
    """The Redis behind servers.

    :param scripts: names by their SHA
    """

    url: str
    scripts: Mapping[str, str]


class Measurable(Protocol):
    """What is needed of an environment."""

    @property
    def watched_redis(self) -> WatchedRedis | None: ...
    def processes(self) -> Processes: ...


class ActivityMeter:
    """Counts from :meth:`begin` to :meth:`end`.

    :ivar by_role: what each process of a role did; roles are those of the environment, and ``client``
    :ivar commands: calls of each Redis command; those inside of scripts, too
    """

    def __init__(self, environment: Measurable) -> None:
        self._environment = environment
        self._before: dict[str, dict[int, Activity]] = {}
        self._commands_before: Counter[str] = Counter()
        self.by_role: dict[str, list[Activity]] = {}
        self.commands: dict[str, int] = {}

    async def begin(self) -> None:
        """From now on."""
        self._commands_before = await self._commands()
        self._before = activities(self._environment.processes())

    async def end(self) -> None:
        """Until now."""
        after = activities(self._environment.processes())
        self.by_role = {
            role: [now.since(self._before.get(role, {}).get(pid, Activity())) for pid, now in theirs.items()]
            for role, theirs in after.items()
        }
        self.commands = dict(await self._commands() - self._commands_before)

    async def _commands(self) -> Counter[str]:
        watched = self._environment.watched_redis
        if watched is None:
            return Counter()
        async with Redis.from_url(watched.url) as redis:
            counted: Mapping[str, Any] = await redis.info("commandstats")
        return Counter({name.removeprefix("cmdstat_"): each["calls"] for name, each in counted.items()})

    def each(self, messages: int) -> dict[str, Any]:
        """For one message: what all processes of each role did together, and how often Redis ran each command."""
        if not messages:
            return {}
        roles = {role: _sum(*theirs).each(messages) for role, theirs in self.by_role.items() if theirs}
        commands = sorted(self.commands.items(), key=lambda item: -item[1])
        return {
            "roles": roles,
            "processes": {
                role: [one.each(messages) for one in theirs] for role, theirs in self.by_role.items() if len(theirs) > 1
            },
            "redis_commands": {
                name: round(calls / messages, 3) for name, calls in commands if calls / messages > 0.001
            },
        }


class _Lines(asyncio.Protocol):
    """Keeps what MONITOR says.

    :ivar began: done when it has begun
    :ivar ended: done when it has said :data:`END`
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.began: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.parts: list[bytes] = []
        self._size, self._last = 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for it."""
        cast("asyncio.WriteTransport", transport).write(b"MONITOR\r\n")

    def data_received(self, data: bytes) -> None:
        """Some lines."""
        if not self.began.done():
            self.began.set_result(None)
        if self._size < MONITOR_BYTES:
            self._size += len(data)
            self.parts.append(data)
        self._last = self._last[-len(END) :] + data
        if END in self._last and not self.ended.done():
            self.ended.set_result(None)


async def _open(url: str) -> tuple[asyncio.BaseTransport, _Lines]:
    address, loop = urlsplit(url), asyncio.get_running_loop()
    if address.scheme == "unix":
        return await loop.create_unix_connection(_Lines, address.path)
    return await loop.create_connection(_Lines, address.hostname or "127.0.0.1", address.port or 6379)


async def watch(redis: WatchedRedis, work: Awaitable[Any]) -> "Scripts":
    """The commands that Redis runs during ``work``, with its command MONITOR, which makes it slower.

    :raises OSError: when Redis cannot be reached
    :raises TimeoutError: when it does not say what it does
    """
    async with Redis.from_url(redis.url) as other:
        await other.ping()  # it has said who it is before anything is watched
        transport, lines = await _open(redis.url)
        try:
            await asyncio.wait_for(lines.began, MONITOR_SECONDS)
            await work
            await other.echo(END)
            await asyncio.wait_for(lines.ended, MONITOR_SECONDS)
        finally:
            transport.close()
    return Scripts.of(b"".join(lines.parts).partition(END)[0].split(b"\r\n")[:-1], redis.scripts)


class Scripts(NamedTuple):
    """Which scripts were called how often, and what they called.

    :param calls: by the name of the script; commands that are not a script's by their own
    :param inside: by script, calls of each command
    """

    calls: Counter[str]
    inside: dict[str, Counter[str]]

    @classmethod
    def of(cls, lines: Iterable[bytes], names: Mapping[str, str]) -> "Scripts":
        """From MONITOR's lines. A script that ``names`` lacks is called by the start of its SHA."""
        calls: Counter[str] = Counter()
        inside: dict[str, Counter[str]] = {}
        script = ""
        for line in lines:
            if (match := _COMMAND.match(line)) is None:
                continue
            source, command, first = (part.decode(errors="replace") if part else "" for part in match.groups())
            command = command.lower()
            if source == "lua":
                inside.setdefault(script, Counter())[command] += 1
                continue
            script = names.get(first, first[:8]) if command == "evalsha" else ""
            calls[script or command] += 1
        return cls(calls, inside)

    def chats_together(self) -> float | None:
        """How many chats a call of ``store_chats`` stored; None: it was not called."""
        calls = self.calls["store_chats"]
        return round(self.inside.get("store_chats", Counter())["xadd"] / calls, 2) if calls else None

    def each(self, messages: int) -> dict[str, Any]:
        """For one message."""
        if not messages:
            return {}
        return {
            "script_calls": _each(self.calls, messages),
            "commands_in_scripts": {script: _each(inside, messages) for script, inside in self.inside.items()},
            "chats_together": self.chats_together(),
        }


def _each(calls: Counter[str], messages: int) -> dict[str, float]:
    return {name: round(count / messages, 3) for name, count in calls.most_common() if count / messages > 0.001}


def roles_text(each: Mapping[str, Any], names: Sequence[str]) -> str:
    """For people: some figures of each role, as ``server 3.1/0.2, redis …``; roles at rest are left out."""
    roles: Mapping[str, Mapping[str, float]] = each.get("roles", {})
    return ", ".join(
        f"{role} {'/'.join(f'{figures[name]:.3g}' for name in names)}"
        for role, figures in roles.items()
        if figures["slices"] >= 0.01
    )
