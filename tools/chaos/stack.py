"""The stack of a campaign: the product on servers of its own, behind proxies whose connections can be broken."""

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
"""T: a client that is gone may be shown online for so long."""
WAIT_KNOB: Final = "REPLICAS_ACKED"
"""The setting that says how many replicas must have a chat before ``sent``."""
POISON: Final = "poison"
"""With the patch ``poison``, encoding a chat fails whose text begins with this word."""
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
"""Settings of the product, so short that a campaign need not wait for minutes."""


@dataclass(frozen=True)
class Profile:
    """What a stack is made of. Faults with different needs run on different stacks.

    :param fsync: of Redis' append-only file
    :param acked: the number of replicas that a send waits for
    :param knobs: settings of the product, as (name, value), in addition to :data:`QUICK`
    :param replica: whether Redis has one
    :param small_disk: whether each Redis writes to a disk that can be filled
    :param clocks: whether the wall clocks of Redis and of the product can be moved
    :param patches: names of patches of the product, see ``patched.py``
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
        """What cannot be added to another fault's stack, because it changes the product for all: the first three."""
        return self.fsync, self.acked, self.knobs

    @property
    def missing(self) -> str:
        """What this machine lacks for it; "": nothing."""
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
    """A running product and its servers. ``redis`` is the current master.

    :param home: a directory of its own
    :param long: whether faults last for their full length
    """

    def __init__(self, home: Path, profile: Profile, *, long: bool = False) -> None:
        self.long = long
        self.home, self.profile, self.logs = home, profile, home / "logs"
        self.redis_clock = Clock(home / "redis-clock") if profile.clocks else None
        self.product_clock = Clock(home / "product-clock") if profile.clocks else None
        # A child process gets a signal when the thread that started it ends, so these threads must stay.
        self.threads = ThreadPoolExecutor(8, thread_name_prefix="fault")
        self._every_redis: list[Redis] = []
        self.redis = self._new_redis()
        self.replica: Redis | None = self._new_redis() if profile.replica else None
        self.postgres = Postgres(home / "pg", options=FAST)
        self.redis_proxy = Proxy(home / "wire.sock", self.redis.socket)
        self.block_flag = home / "block"
        self.tasks = home / "tasks"
        """The directory in which workers with the patch ``tasks`` write how many tasks they have."""
        self.tasks.mkdir()
        self.env = self._environment()
        self.groups = [Group("a", self.env, 2, self.logs), Group("b", self.env, 1, self.logs)]
        self.client_proxy = Proxy(("127.0.0.1", 0), ("127.0.0.1", self.groups[0].port))
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
            "REDIS_URL": f"unix://{self.redis_proxy.front}?db=0",
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
        """Start everything.

        :raises ChildError: a process does not come up
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
        self.redis_proxy.start()
        self.client_proxy.start()
        for group in self.groups:
            group.start()
        self._background = Background(self.env, self.logs)
        self.await_ready(READY_SECONDS)

    def stop(self) -> None:
        """Stop everything, whatever state it is in."""
        self.block_flag.unlink(missing_ok=True)
        if self._background:
            self._background.stop()
        for group in self.groups:
            group.stop()
        for proxy in (self.client_proxy, self.redis_proxy):
            proxy.stop()
        for server in (self.replica, self.redis):
            if server:
                server.stop()
        self.postgres.destroy()
        for each in self._every_redis:
            if each.disk:
                each.disk.remove()
        self.threads.shutdown()

    @property
    def background(self) -> Background:
        """The arq worker."""
        assert self._background is not None, "never started"
        return self._background

    # ---- what can be asked of it

    @property
    def addresses(self) -> list[str]:
        """Where clients connect: to one group through a proxy, to the other directly."""
        host, port = self.client_proxy.front  # type: ignore[misc]  # a TCP one
        return [f"http://{host}:{port}", self.groups[1].url]

    @property
    def pids(self) -> list[int]:
        """The processes of all live workers that have registered."""
        return [pid for group in self.groups for pid in group.pids(self.redis.url)]

    def ready(self) -> bool:
        """Whether everything serves, and the replica lives. A dead one would make the next failover fail."""
        if self.replica is not None and not self.replica.running().alive():
            return False
        try:
            return all(group.ready(self.redis.url) for group in self.groups)
        except (redis.RedisError, OSError):
            return False

    def await_ready(self, seconds: float) -> float:
        """Wait until everything serves; the seconds that this took.

        :raises TimeoutError: not everything serves
        """
        began = time.monotonic()
        if not wait_until(self.ready, seconds):
            raise TimeoutError(f"the stack is not ready after {seconds:g} s; its logs are in {self.logs}")
        return time.monotonic() - began

    def client(self) -> "redis.Redis":
        """A client of the master, without the proxy."""
        return self.redis.client()

    def tokens(self, people: int) -> list[str]:
        """Tokens of so many people with accounts, the same people each time."""
        return [account.secret for account in self._people(people)]

    def mobiles(self, people: int) -> list[str]:
        """The mobile numbers of the same people."""
        return [account.address for account in self._people(people)]

    def _people(self, people: int) -> list[Account]:
        return asyncio.run(self._mint.first(people))

    # ---- replication

    def fail_over(self) -> None:
        """Make the replica the master, and connect the product to it."""
        assert self.replica is not None, "there is no replica"
        self.replica.lead()
        self.redis, self.replica = self.replica, None
        self.redis_proxy.retarget(self.redis.socket)

    def new_replica(self) -> None:
        """Start a replica of the current master."""
        self.replica = self._new_redis()
        self.replica.start()
        self.replica.follow(self.redis)
