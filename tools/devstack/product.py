"""The product's own processes: started by the same commands as in production, and which of them live."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

from tools.devstack.options import ROOT
from tools.devstack.process import Child, ChildError, birth

_BIN = Path(sys.executable).parent
MIGRATE_SECONDS = 60.0
KEEP_LOG_BYTES = 10 * 2**20


def log_file(logs: Path, name: str) -> Path:
    """Where a process logs; what it logged long ago moves aside when it has grown too big."""
    path = logs / f"{name}.log"
    if path.exists() and path.stat().st_size > KEEP_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path


@dataclass(frozen=True)
class Product:
    """How to start each part: ``env`` is its environment, ``logs`` the directory of its logs, ``module`` what the
    ``sanic`` command serves."""

    env: Mapping[str, str]
    logs: Path
    module: str = "app"

    def migrate(self) -> None:
        """Bring the database up to date.

        :raises ChildError: with what went wrong
        """
        done = subprocess.run(
            [sys.executable, "-m", "models.migrate"],
            cwd=ROOT,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MIGRATE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise ChildError(f"The database could not be brought up to date:\n{done.stderr.strip()}")

    def servers(self, host: str, port: int, workers: int, name: str = "app") -> Child:
        """Start Sanic."""
        command: list[str | Path] = [
            _BIN / "sanic",
            self.module,
            "--host",
            host,
            "--port",
            str(port),
            "--workers",
            str(workers),
        ]
        return self._child("Sanic", command, name)

    def background(self) -> Child:
        """Start arq."""
        return self._child("arq", [_BIN / "arq", "workers.WorkerSettings"], "worker")

    def _child(self, name: str, command: list[str | Path], log: str) -> Child:
        return Child(name, command, log=log_file(self.logs, log), env=self.env, cwd=ROOT)


TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class ServerProcess:
    """One Sanic worker process, this run of it."""

    server_id: str
    pid: int

    def lives(self) -> bool:
        """Whether there is such a process."""
        return birth(self.pid) is not None


def living_servers(redis_url: str, parent: int) -> list[ServerProcess]:
    """The workers of the Sanic main process ``parent`` that live.

    :raises redis.RedisError: when Redis does not answer
    """
    with redis.Redis.from_url(
        redis_url, decode_responses=True, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
    ) as client:
        names = client.zrange("servers", 0, -1)
        records = client.mget([f"server:{name}" for name in names]) if names else []
    found = []
    for name, record in zip(names, records, strict=True):
        facts = json.loads(record) if record else {}
        if facts.get("parent") == parent and birth(int(facts["pid"])):
            found.append(ServerProcess(name, int(facts["pid"])))
    return found
