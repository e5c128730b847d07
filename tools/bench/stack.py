"""This product as an environment: started afresh by the usual command, or already running.

Our own product on a Redis that has a replica, which a chat waits for, or not.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import redis
from redis.asyncio import Redis

from tools.bench.client import Client, open_connection
from tools.bench.cpu import Processes, tree
from tools.bench.environment import Account, Recorder
from tools.bench.people import DatabaseAccounts, SignUpAccounts
from tools.devstack.options import ROOT
from tools.devstack.places import socket_directory
from tools.devstack.probe import free_port
from tools.devstack.process import Child, wait_until
from tools.devstack.runfile import NAME, read_run
from tools.devstack.valkey import Valkey

READY_SECONDS: Final = 120.0
STOP_SECONDS: Final = 30.0


def devstack_of(checkout: Path) -> str:
    """The module that starts the product. Versions before 0.2 had it at the top."""
    return "tools.devstack" if (checkout / "tools" / "devstack").is_dir() else "devstack"


class Stack:
    """The whole product on a data directory of its own, gone afterwards. May serve several :class:`Product`.

    :param env: settings
    :param checkout: the directory whose code is started, with the Python of its own ``.venv`` where it has one
    """

    def __init__(self, workers: int, env: Mapping[str, str] | None = None, checkout: Path = ROOT) -> None:
        own = checkout / ".venv" / "bin" / "python"
        python = str(own) if checkout != ROOT and own.exists() else sys.executable
        self._checkout, self._workers = checkout, workers
        self.data = Path(tempfile.mkdtemp(prefix="wm-bench-"))
        self._command = [python, "-m", devstack_of(checkout), "--port", str(free_port()), "--workers", str(workers)]
        ours = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DATABASE_URL")}
        self._env = {**ours, "JWT_SECRET": "", "BCRYPT_ROUNDS": "4", "RATE_LIMITS": "off", **(env or {})}
        self._child: Child | None = None

    def start(self) -> "RunningStack":
        """Start it and wait until it serves.

        :raises ChildError: when it does not
        """
        command = [*self._command, "--data", str(self.data)]
        log = self.data.with_suffix(".log")
        self._child = Child("stack", command, log=log, env=self._env, cwd=self._checkout)
        self._child.await_ready(lambda: self._servers() >= self._workers, READY_SECONDS)
        return RunningStack(self.data)

    def _servers(self) -> int:
        """Server processes in the run file, which is written before all of them have started."""
        return len((read_run(self.data / NAME) or {"servers": []})["servers"])

    def stop(self) -> None:
        """Everything of it ends, and its data is removed."""
        if self._child:
            self._child.stop(STOP_SECONDS)
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.with_suffix(".log").unlink(missing_ok=True)


class RunningStack:
    """What runs on a data directory, by its run file."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.run: dict[str, Any] = read_run(data / NAME) or {}
        if not self.run:
            raise FileNotFoundError(f"Nothing runs on {data}")
        secret = self.run["secret_file"]
        given = Path(secret).read_text(encoding="ascii").strip() if secret else os.environ["JWT_SECRET"]
        self.accounts = DatabaseAccounts(self.run["database_url"], given)
        self.redis: Redis = Redis.from_url(self.run["redis_url"], decode_responses=True)

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
    """The product, with its Redis writing to disk in one of the two ways."""

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
        :param kind: which dialect people speak
        :param scattered: each comes from an address of their own
        """
        self.name = name or (f"mini-{fsync}" if fsync else "mini")
        self.running, self._fsync, self._ack_each, self._kind = running, fsync, ack_each, kind
        self.url: str = running.run["url"]
        self._ws_url = self.url.replace("http", "ws", 1)
        self._scattered = scattered

    async def prepare(self) -> None:
        """Set how Redis writes to disk."""
        if self._fsync:
            await self.running.redis.config_set("appendfsync", self._fsync)

    async def accounts(self, count: int) -> Sequence[Account]:
        """Minted ones."""
        return await self.running.accounts.first(count)

    async def connect(self, account: Account, recorder: Recorder) -> Client:
        """In their dialect."""
        source = _own_address(account) if self._scattered else ""
        return await open_connection(
            self._ws_url, account, recorder, ack_each=self._ack_each, kind=self._kind, source=source
        )

    def processes(self) -> Processes:
        """Server workers, Redis, PostgreSQL and the background worker."""
        return self.running.processes()

    def server_ids(self) -> list[str]:
        """What the server processes call themselves."""
        return [server["serverId"] for server in self.running.run["servers"]]

    async def facts(self) -> dict[str, str]:
        """What Redis is and how it writes."""
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
        """Our own connection to Redis; the stack itself is its owner's to stop."""
        await self.running.redis.aclose()


def _own_address(account: Account) -> str:
    """Of the loopback network, which is a whole 127.0.0.0/8."""
    number = int(account.address) % 62_500
    return f"127.1.{number // 250}.{number % 250 + 1}"


class RemoteProduct:
    """Servers known by nothing but an address: people sign up, and no CPU but the client's is counted."""

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
        """In their dialect."""
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
        """And the replica."""
        return {**super().processes(), "replica": [self._replica.pid]}

    async def close(self) -> None:
        """The replica ends, too."""
        await super().close()
        self._replica.stop()
        shutil.rmtree(self._home, ignore_errors=True)
