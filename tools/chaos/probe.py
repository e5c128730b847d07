"""The resources of a stack: memory, descriptors, connections, keys. After a fault they must come back to base."""

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import asyncpg
import redis

from tools.chaos.stack import Stack
from tools.devstack.postgres import USER

PERSONAL: Final = "{"
"""Keys of a person have a hash tag. All other keys are of servers and jobs."""
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
MORE_MB_PER_WORKER: Final = 30.0
MORE_DESCRIPTORS: Final = 16
MORE_CONNECTIONS: Final = 8
MORE_KEYS: Final = 12
BACK_SECONDS: Final = 12.0


@dataclass(frozen=True)
class Probe:
    """The figures of one moment.

    :param megabytes: resident, of all workers together
    :param connections: to Redis
    :param database: connections to PostgreSQL, each of which is a descriptor. A pool opens more when many ask at once,
        and keeps them for five minutes
    :param keys: in Redis, of no person, that do not expire
    :param waiting: entries in mailboxes
    :param pending: of these, handed to a connection and not acked
    :param dead: keys of servers that no longer live
    """

    workers: int
    megabytes: float
    descriptors: int
    connections: int
    database: int
    keys: int
    waiting: int
    pending: int
    dead: int

    def record(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def take(stack: Stack) -> Probe:
    """Measure everything once."""
    pids = stack.pids
    with stack.client() as client:
        names = [str(name) for name in client.scan_iter(count=1000)]
        mailboxes = [name for name in names if name.startswith("mailbox:")]
        alive = {name.removeprefix("server:") for name in names if name.startswith("server:")}
        listed = set(client.zrange("servers", 0, -1))
        people = {name.removeprefix("people:") for name in names if name.startswith("people:")}
        waiting = pending = 0
        for name in mailboxes:
            with contextlib.suppress(Exception):  # it may go between the look and this
                waiting += client.xlen(name)
                pending += sum(group["pending"] for group in client.xinfo_groups(name))
        keys = _lasting(client, [name for name in names if PERSONAL not in name])
        connections = int(client.info("clients")["connected_clients"]) - 1
    return Probe(
        workers=len(pids),
        megabytes=round(sum(map(megabytes, pids)), 1),
        descriptors=sum(map(descriptors, pids)),
        connections=connections,
        database=database_connections(stack),
        keys=keys,
        waiting=waiting,
        pending=pending,
        dead=len((people | listed) - alive),
    )


def complaints(base: Probe, now: Probe) -> list[str]:
    """What is above base, in words."""
    limits = {
        "megabytes": base.megabytes + MORE_MB_PER_WORKER * base.workers,
        "descriptors": base.descriptors + MORE_DESCRIPTORS + max(now.database - base.database, 0),
        "connections": base.connections + MORE_CONNECTIONS,
        "keys": base.keys + MORE_KEYS,
        "waiting": 0,
        "pending": 0,
        "dead": 0,
    }
    over = {name: getattr(now, name) for name, limit in limits.items() if getattr(now, name) > limit}
    found = [f"{name}: {value:g}, base {getattr(base, name):g}" for name, value in over.items()]
    return found + ([f"workers: {now.workers}, base {base.workers}"] if now.workers != base.workers else [])


def settle(stack: Stack, base: Probe, seconds: float = BACK_SECONDS) -> tuple[Probe, list[str]]:
    """Measure until nothing is above base, or the time is over; the last figures, and what is above base."""
    deadline = time.monotonic() + seconds
    while True:
        now = take(stack)
        found = complaints(base, now)
        if not found or time.monotonic() > deadline:
            return now, found
        time.sleep(0.5)


def _lasting(client: "redis.Redis", names: Sequence[str]) -> int:
    asked = client.pipeline(transaction=False)
    for name in names:
        asked.ttl(name)
    return sum(seconds == -1 for seconds in asked.execute())


def database_connections(stack: Stack) -> int:
    """What is connected to the product's database; 0 while PostgreSQL does not answer."""
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        ((count,),) = stack.postgres.fetch(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{USER}'")  # noqa: S608 - a constant
        return int(str(count))
    return 0


def megabytes(pid: int) -> float:
    """Resident memory of a process; 0 when it has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE / 2**20
    return 0.0


def descriptors(pid: int) -> int:
    """Open descriptors of a process; 0 when it has ended."""
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0
