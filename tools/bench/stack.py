"""This product as an environment: started afresh by the usual command, or already running.

One environment has a replica of Redis, for which a chat waits, or not.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import redis
from redis.asyncio import Redis

from tools.bench import cpu
from tools.bench.activity import WatchedRedis
from tools.bench.client import Client, open_connection
from tools.bench.cpu import Processes, tree
from tools.bench.environment import Account, Recorder
from tools.bench.people import DatabaseAccounts, SignUpAccounts
from tools.devstack.options import ROOT
from tools.devstack.paths import socket_directory
from tools.devstack.probe import free_port
from tools.devstack.process import Child, wait_until
from tools.devstack.runfile import NAME, read_run
from tools.devstack.valkey import Valkey

READY_SECONDS: Final = 120.0
STOP_SECONDS: Final = 30.0
REST_SECONDS: Final = 10.0
"""How long to wait at most for a stack to come to rest."""
REST_STEP_SECONDS, REST_SHARE = 0.5, 0.05
"""A stack is at rest when it used less than this share of a core for so long."""
SCRIPTS: Final = """
import json
from delivery import scripts
every = vars(scripts).values()
print(json.dumps({each.sha: each.name for each in every if isinstance(each, scripts.Script)}))
"""
"""Run by a Python of the checkout: the benchmark itself imports nothing of the servers."""


def devstack_of(checkout: Path) -> str:
    """The module that starts the product. Versions before 0.2 had it at the top."""
    return "tools.devstack" if (checkout / "tools" / "devstack").is_dir() else "devstack"


class Stack:
    """The whole product on a temporary data directory. Several :class:`Product` may share it.

    :param env: settings
    :param checkout: the directory whose code is started, with the Python of its own ``.venv`` where it has one
    """

    def __init__(self, workers: int, env: Mapping[str, str] | None = None, checkout: Path = ROOT) -> None:
        own = checkout / ".venv" / "bin" / "python"
        python = str(own) if checkout != ROOT and own.exists() else sys.executable
        self._checkout, self._workers = checkout, workers
        self.data = Path(tempfile.mkdtemp(prefix="wm-bench-"))
        self._command = [python, "-m", devstack_of(checkout), "--port", str(free_port()), "--workers", str(workers)]
        inherited = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DATABASE_URL")}
        # A million people, of the mode growth, need more than the default.
        inherited = {"REDIS_MAXMEMORY": "8gb", **inherited}
        self._env = {**inherited, "JWT_SECRET": "", "BCRYPT_ROUNDS": "4", "RATE_LIMITS": "off", **(env or {})}
        self._child: Child | None = None

    def start(self) -> "RunningStack":
        """Start it and wait until it serves.

        :raises ChildError: when it does not come up
        """
        command = [*self._command, "--data", str(self.data)]
        log = self.data.with_suffix(".log")
        self._child = Child("stack", command, log=log, env=self._env, cwd=self._checkout)
        self._child.await_ready(lambda: self._servers() >= self._workers, READY_SECONDS)
        running = RunningStack(self.data, self._scripts())
        _await_rest(running)
        return running

    def _scripts(self) -> dict[str, str]:
        """Names of the checkout's Lua scripts, by their SHA, as its own code knows them."""
        command = [self._command[0], "-c", SCRIPTS]
        done = subprocess.run(command, cwd=self._checkout, capture_output=True, text=True, check=True)
        found: dict[str, str] = json.loads(done.stdout)
        return found

    def _servers(self) -> int:
        """Server processes in the run file, which is written before all of them have started."""
        return len((read_run(self.data / NAME) or {"servers": []})["servers"])

    def stop(self) -> None:
        """Stop its processes and remove its data."""
        if self._child:
            self._child.stop(STOP_SECONDS)
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.with_suffix(".log").unlink(missing_ok=True)


def _await_rest(running: "RunningStack") -> None:
    """Wait until all processes of a stack are at rest. The background worker is still loading its code when the servers
    serve, and would take a processor from what is measured first."""
    deadline = time.monotonic() + REST_SECONDS
    while time.monotonic() < deadline:
        before, began = cpu.spent(running.processes()), time.monotonic()
        time.sleep(REST_STEP_SECONDS)
        used = cpu.difference(before, cpu.spent(running.processes()))
        if sum(used.values()) - used["client"] < REST_SHARE * (time.monotonic() - began):
            return


class RunningStack:
    """A running instance, described by the run file of its data directory.

    :param scripts: names of its Lua scripts, by their SHA, where they are known
    """

    def __init__(self, data: Path, scripts: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.run: dict[str, Any] = read_run(data / NAME) or {}
        if not self.run:
            raise FileNotFoundError(f"Nothing runs on {data}")
        secret = self.run["secret_file"]
        given = Path(secret).read_text(encoding="ascii").strip() if secret else os.environ["JWT_SECRET"]
        self.accounts = DatabaseAccounts(self.run["database_url"], given)
        self.redis: Redis = Redis.from_url(self.run["redis_url"], decode_responses=True)
        self.watched_redis = WatchedRedis(self.run["redis_url"], scripts or {})

    def processes(self) -> Processes:
        """Server workers, Redis, PostgreSQL and the background worker."""
        children = {each["name"]: each["pid"] for each in json.loads((self.data / "children.json").read_text())}
        run = read_run(self.data / NAME) or self.run
        found = {"server": [server["pid"] for server in run["servers"]]}
        if "Valkey" in children:
            found["redis"] = [children["Valkey"]]
        if "PostgreSQL" in children:
            found["postgres"] = tree(children["PostgreSQL"])
        if run["worker"]:
            found["background"] = [run["worker"]["pid"]]
        return found


class Product:
    """The product on a running stack, with one of two settings of ``appendfsync``."""

    def __init__(
        self,
        running: RunningStack,
        fsync: str | None,
        *,
        name: str | None = None,
        ack_each: bool = False,
        kind: type[Client] = Client,
        scattered: bool = False,
    ) -> None:
        """
        :param fsync: ``everysec`` or ``always``; None leaves it as it is
        :param kind: the client class, and with it the dialect
        :param scattered: each client connects from an address of its own
        """
        self.name = name or (f"mini-{fsync}" if fsync else "mini")
        self.watched_redis: WatchedRedis | None = running.watched_redis
        self.running, self._fsync, self._ack_each, self._kind = running, fsync, ack_each, kind
        self.url: str = running.run["url"]
        self._ws_url = self.url.replace("http", "ws", 1)
        self._scattered = scattered

    async def prepare(self) -> None:
        """Set how Redis writes to disk."""
        if self._fsync:
            await self.running.redis.config_set("appendfsync", self._fsync)

    async def accounts(self, count: int) -> Sequence[Account]:
        """Written straight into PostgreSQL."""
        return await self.running.accounts.first(count)

    async def connect(self, account: Account, recorder: Recorder) -> Client:
        """In the dialect of the client class."""
        source = _own_address(account) if self._scattered else ""
        return await open_connection(
            self._ws_url, account, recorder, ack_each=self._ack_each, kind=self._kind, source=source
        )

    def processes(self) -> Processes:
        """Server workers, Redis, PostgreSQL and the background worker."""
        return self.running.processes()

    def server_ids(self) -> list[str]:
        """The ``serverId`` of each server process."""
        return [server["serverId"] for server in self.running.run["servers"]]

    async def facts(self) -> dict[str, str]:
        """Version of Redis, and how it writes to disk."""
        info = await self.running.redis.info("server")
        settings = await self.running.redis.config_get("append*")
        version = info.get("valkey_version") or info["redis_version"]
        return {
            "redis": f"{info.get('server_name', 'redis')} {version}",
            "appendonly": settings["appendonly"],
            "appendfsync": settings["appendfsync"],
            "workers": str(len(self.running.run["servers"])),
        }

    async def close(self) -> None:
        """Close the connection to Redis. The stack is stopped by its owner."""
        await self.running.redis.aclose()


def _own_address(account: Account) -> str:
    """An address of the loopback network, 127.0.0.0/8, for each account."""
    number = int(account.address) % 62_500
    return f"127.1.{number // 250}.{number % 250 + 1}"


class RemoteProduct:
    """Servers known only by their address: people sign up, and only the client's CPU is counted."""

    watched_redis = None

    def __init__(self, url: str, *, name: str = "mini", ack_each: bool = False, kind: type[Client] = Client) -> None:
        """:param url: ``http://host:port``"""
        self.name = name
        self._ws_url, self._ack_each, self._kind = url.replace("http", "ws", 1), ack_each, kind
        self._accounts = SignUpAccounts(url)

    async def prepare(self) -> None:
        """Nothing to set."""

    async def accounts(self, count: int) -> Sequence[Account]:
        """By sign-up and login."""
        return await self._accounts.first(count)

    async def connect(self, account: Account, recorder: Recorder) -> Client:
        """In the dialect of the client class."""
        return await open_connection(self._ws_url, account, recorder, ack_each=self._ack_each, kind=self._kind)

    def processes(self) -> Processes:
        """Unknown."""
        return {}

    async def facts(self) -> dict[str, str]:
        """Nothing is known."""
        return {}

    async def close(self) -> None:
        """Nothing to stop."""


REPLICA_READY_SECONDS: Final = 20.0
ACKED: Final = {"mini-replica": "0", "mini-replica-wait": "1"}
"""Contenders, and how many replicas a chat waits for."""


class ReplicatedProduct(Product):
    """A stack, and a replica of its Redis on the same machine; both with ``appendfsync everysec``."""

    def __init__(
        self, running: RunningStack, name: str, *, ack_each: bool = False, kind: type[Client] = Client
    ) -> None:
        """:raises TimeoutError: when the replica does not catch up"""
        super().__init__(running, "everysec", name=name, ack_each=ack_each, kind=kind)
        self._home = Path(tempfile.mkdtemp(prefix="wm-replica-"))
        options = {"appendfsync": "everysec", "repl-diskless-sync-delay": "0"}
        self._replica = Valkey(self._home / "data", socket_directory(self._home), appendonly=True, options=options)
        self._replica.start()
        self._follow(running.run["redis_url"])

    def _follow(self, master_url: str) -> None:
        port = free_port()
        with redis.Redis.from_url(master_url) as master, redis.Redis.from_url(self._replica.url) as replica:
            master.config_set("port", port)
            replica.replicaof("127.0.0.1", port)
            if not wait_until(lambda: replica.info("replication")["master_link_status"] == "up", REPLICA_READY_SECONDS):
                raise TimeoutError("the replica did not catch up")

    def processes(self) -> Processes:
        """As the base class, and the replica."""
        return {**super().processes(), "replica": [self._replica.pid]}

    async def close(self) -> None:
        """And stop the replica."""
        await super().close()
        self._replica.stop()
        shutil.rmtree(self._home, ignore_errors=True)
