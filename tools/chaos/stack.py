"""The stack of the campaign: the product on servers of its own, behind wires that can be broken."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from settings import Settings
from tools.bench.environment import Account
from tools.bench.people import DatabaseAccounts
from tools.chaos.clock import Clock
from tools.chaos.proxy import Proxy
from tools.chaos.servers import READY_SECONDS, ROOT, Background, Group, Redis, SmallDisk
from tools.devstack.postgres import FAST, Postgres
from tools.devstack.process import wait_until

PING_SECONDS: Final = 1.0
LEASE_SECONDS: Final = 4.0
"""T: for so long somebody who is gone may be shown online."""
WAIT_KNOB: Final = "REPLICAS_ACKED"
"""How many replicas must have a chat before it is ``sent``."""
POISON: Final = "poison"
"""Our own code fails on a chat that begins with this (patch ``poison``)."""
QUICK: Final = {
    "PING_SECONDS": f"{PING_SECONDS:g}",
    "LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "BELL_SECONDS": "0.5",
    "BELL_SILENCE_SECONDS": "2",
    "SWEEP_SECONDS": "1",
    "RECLAIM_SECONDS": "2",
    "SESSION_CHECK_SECONDS": "1",
    "REDELIVER_SECONDS": "5",
    "WRITE_SECONDS": "3",
    "DRAIN_SECONDS": "3",
    "BCRYPT_ROUNDS": "4",
    "BCRYPT_WAITING": "32",
    "RATE_LIMITS": "off",
    "MAILBOX_BYTES_PER_SENDER": str(2**24),
}
"""The product's own knobs, so short that a campaign need not wait for minutes."""


@dataclass(frozen=True)
class Profile:
    """How a stack is made. Faults that want another one are run on another stack.

    :param fsync: of Redis' append-only file
    :param acked: how many replicas a send waits for
    :param knobs: of the product, as (name, value), on top of :data:`QUICK`
    :param replica: whether Redis has one
    :param small_disk: whether each Redis writes to a disk that can be filled
    :param clocks: whether the wall clocks of Redis and of the product can be moved
    :param patches: what is done to the product, see ``patched.py``
    :param bug: one of ``bugs/``, put into the product on purpose
    """

    fsync: str = "always"
    acked: int = 0
    knobs: tuple[tuple[str, str], ...] = ()
    replica: bool = False
    small_disk: bool = False
    clocks: bool = False
    patches: str = ""
    bug: str = ""

    @property
    def must(self) -> tuple[str, int, tuple[tuple[str, str], ...]]:
        """What cannot be added to a stack that is without it, for it changes what all others meet: the first three."""
        return self.fsync, self.acked, self.knobs

    @property
    def missing(self) -> str:
        """What it needs and is not to be had here; empty: nothing."""
        if self.acked and WAIT_KNOB.lower() not in Settings.model_fields:
            return f"a product with {WAIT_KNOB}"
        if self.clocks and not (sys.platform == "linux" and shutil.which("cc")):
            return "Linux and a C compiler"
        if self.small_disk and not _may_mount():
            return "the right to mount a file system"
        return ""


def _may_mount() -> bool:
    with tempfile.TemporaryDirectory(prefix="wm-mount-") as place:
        return SmallDisk.possible(Path(place))


class Stack:
    """Everything of it, to be broken. ``redis`` is the master, whichever that is by now.

    :param home: a directory of its own
    :param long: whether there is time for everything at its full length
    """

    def __init__(self, home: Path, profile: Profile, *, long: bool = False) -> None:
        self.long = long
        self.home, self.profile, self.logs = home, profile, home / "logs"
        self.redis_clock = Clock(home / "redis-clock") if profile.clocks else None
        self.product_clock = Clock(home / "product-clock") if profile.clocks else None
        # A child is told when the thread that started it ends: what breaks and mends must be threads that stay.
        self.hands = ThreadPoolExecutor(8, thread_name_prefix="hand")
        self._every_redis: list[Redis] = []
        self.redis = self._new_redis()
        self.replica: Redis | None = self._new_redis() if profile.replica else None
        self.postgres = Postgres(home / "pg", options=FAST)
        self.wire = Proxy(home / "wire.sock", self.redis.socket)
        self.block_flag = home / "block"
        self.tasks = home / "tasks"
        """Here workers with the patch ``tasks`` write how many they have."""
        self.tasks.mkdir()
        self.env = self._environment()
        self.groups = [Group("a", self.env, 2, self.logs), Group("b", self.env, 1, self.logs)]
        self.front = Proxy(("127.0.0.1", 0), ("127.0.0.1", self.groups[0].port))
        self._background: Background | None = None
        self._mint = DatabaseAccounts(self.postgres.dsn(), self.env["JWT_SECRET"])

    def _new_redis(self) -> Redis:
        made = Redis(
            self.home / f"redis-{len(self._every_redis) + 1}",
            fsync=self.profile.fsync,
            env=self.redis_clock.env if self.redis_clock else None,
            small_disk=self.profile.small_disk,
        )
        self._every_redis.append(made)
        return made

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("ARQ_")}
        return {
            **ours,
            **QUICK,
            **dict(self.profile.knobs),
            **({WAIT_KNOB: str(self.profile.acked)} if self.profile.acked else {}),
            **(self.product_clock.env if self.product_clock else {}),
            "REDIS_URL": f"unix://{self.wire.front}?db=0",
            "DATABASE_URL": self.postgres.dsn(),
            "JWT_SECRET": secrets.token_urlsafe(48),
            "CHAOS_PATCHES": self.profile.patches,
            "CHAOS_BUG": self.profile.bug,
            "CHAOS_BLOCK": str(self.block_flag),
            "CHAOS_TASKS": str(self.tasks),
            "CHAOS_POISON": POISON,
        }

    # ---- life

    def start(self) -> None:
        """All of it.

        :raises ChildError: when something does not come up
        """
        self.redis.start()
        if self.replica:
            self.replica.start()
            self.replica.follow(self.redis)
        self.postgres.start()
        env = {name: value for name, value in self.env.items() if name != "LD_PRELOAD"}
        subprocess.run(
            [sys.executable, "-m", "models.migrate"], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL
        )
        self.wire.start()
        self.front.start()
        for group in self.groups:
            group.start()
        self._background = Background(self.env, self.logs)
        self.await_ready(READY_SECONDS)

    def stop(self) -> None:
        """All of it, whatever state it is in."""
        self.block_flag.unlink(missing_ok=True)
        if self._background:
            self._background.stop()
        for group in self.groups:
            group.stop()
        for proxy in (self.front, self.wire):
            proxy.stop()
        for server in (self.replica, self.redis):
            if server:
                server.stop()
        self.postgres.destroy()
        for each in self._every_redis:
            if each.disk:
                each.disk.remove()
        self.hands.shutdown()

    @property
    def background(self) -> Background:
        """The arq worker."""
        assert self._background is not None, "never started"
        return self._background

    # ---- what can be asked of it

    @property
    def addresses(self) -> list[str]:
        """Where clients go: to one group through a wire, to the other straight."""
        host, port = self.front.front  # type: ignore[misc]  # a TCP one
        return [f"http://{host}:{port}", self.groups[1].url]

    @property
    def pids(self) -> list[int]:
        """Of all workers that live and have registered."""
        return [pid for group in self.groups for pid in group.pids(self.redis.url)]

    def ready(self) -> bool:
        """Whether everything serves, and a replica lives: one that ended unseen would fail the next failover."""
        if self.replica is not None and not self.replica.running().alive():
            return False
        try:
            return all(group.ready(self.redis.url) for group in self.groups)
        except (redis.RedisError, OSError):
            return False

    def await_ready(self, seconds: float) -> float:
        """Until everything serves; the seconds that took.

        :raises TimeoutError: it did not
        """
        began = time.monotonic()
        if not wait_until(self.ready, seconds):
            raise TimeoutError(f"the stack is not ready after {seconds:g} s; its logs are in {self.logs}")
        return time.monotonic() - began

    def client(self) -> "redis.Redis":
        """Straight to the master."""
        return self.redis.client()

    def tokens(self, people: int) -> list[str]:
        """Of so many people with accounts, the same ones each time."""
        return [account.secret for account in self._people(people)]

    def mobiles(self, people: int) -> list[str]:
        """The numbers of the same people."""
        return [account.address for account in self._people(people)]

    def _people(self, people: int) -> list[Account]:
        return asyncio.run(self._mint.first(people))

    # ---- what takes more than one hand

    def fail_over(self) -> None:
        """The replica becomes the master, and everybody is led there."""
        assert self.replica is not None, "there is no replica"
        self.replica.lead()
        self.redis, self.replica = self.replica, None
        self.wire.retarget(self.redis.socket)

    def new_replica(self) -> None:
        """In place of the one that leads now."""
        self.replica = self._new_redis()
        self.replica.start()
        self.replica.follow(self.redis)
