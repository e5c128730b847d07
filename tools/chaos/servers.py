"""The processes of a stack, which can be killed, frozen and started again with the same addresses."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from redis import Redis as Client
from redis import RedisError

from tools.devstack.paths import socket_directory
from tools.devstack.probe import free_port, http_status
from tools.devstack.process import Child, birth, wait_until
from tools.devstack.product import living_servers
from tools.devstack.valkey import Valkey

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent
READY_SECONDS: Final = 40.0
STOP_SECONDS: Final = 10.0
BACKGROUND_PAUSE: Final = 0.5
"""Seconds after which an arq worker that ended is started again."""


class Redis(Valkey):
    """One Redis with the append-only file, on a socket, and on a port for its replicas.

    :param home: a directory of its own, for what it keeps, its socket and its log
    :param env: what it gets on top of our environment
    :param small_disk: what it keeps is on a disk of its own, which can be filled: ``disk``, to be removed
    """

    def __init__(
        self, home: Path, *, fsync: str = "always", env: Mapping[str, str] | None = None, small_disk: bool = False
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.disk = SmallDisk(home / "data") if small_disk else None
        self.port = free_port()
        options = {"port": str(self.port), "bind": "127.0.0.1", "appendfsync": fsync, "repl-diskless-sync-delay": "0"}
        super().__init__(home / "data", socket_directory(home), appendonly=True, options=options)
        self._more = [f"{name}={value}" for name, value in (env or {}).items()]

    def _command(self) -> list[str | Path]:
        prefix: list[str | Path] = ["env", *self._more]
        return [*prefix, *super()._command()]

    def client(self, seconds: float = 5.0) -> "Client":
        """A client of this server."""
        return Client.from_url(self.url, decode_responses=True, socket_timeout=seconds)

    def follow(self, master: "Redis") -> None:
        """Become a replica, and wait until everything is copied."""
        with self.client() as client:
            client.replicaof("127.0.0.1", master.port)
            if not wait_until(lambda: client.info("replication").get("master_link_status") == "up", READY_SECONDS):
                raise TimeoutError("the replica did not catch up")

    def lose_master(self) -> None:
        """Stay a replica, and lose the connection to the master."""
        with self.client() as client:
            client.replicaof("127.0.0.1", free_port())

    def lead(self) -> None:
        """Become a master."""
        with self.client() as client:
            client.replicaof("NO", "ONE")

    def erase(self) -> None:
        """Remove the append-only file. The process must have ended."""
        shutil.rmtree(self.data / "appendonlydir")


class Group:
    """One Sanic server with its worker processes. It keeps its port when it is started again.

    Who lives is asked of the Redis one names, not through a wire that may be broken.
    """

    def __init__(self, name: str, env: Mapping[str, str], workers: int, logs: Path) -> None:
        self.name, self.workers, self._log = name, workers, logs / f"{name}.log"
        self._env = {**env, "PYTHONPATH": str(ROOT)}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.child: Child | None = None
        self._known: list[int] = []

    def start(self) -> None:
        """Start it, without waiting for :meth:`ready`."""
        patched = self._env.get("CHAOS_PATCHES") or self._env.get("CHAOS_BUG")
        app = "tools.chaos.patched:app" if patched else "app"
        command: list[str | Path] = [BIN / "sanic", app, "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", str(self.workers)]
        self.child = Child(self.name, command, log=self._log, env=self._env, cwd=ROOT)

    @property
    def pid(self) -> int:
        """The manager's process id."""
        assert self.child is not None, "never started"
        return self.child.pid

    def alive(self) -> bool:
        """Whether the manager runs."""
        return self.child is not None and self.child.alive()

    def pids(self, redis_url: str) -> list[int]:
        """The process ids of the live workers that have registered."""
        self._known = sorted(server.pid for server in living_servers(redis_url, self.pid))
        return self._known

    @property
    def victims(self) -> list[int]:
        """The live workers among those of the last :meth:`pids`. This does not need Redis."""
        return [pid for pid in self._known if birth(pid)]

    def ready(self, redis_url: str) -> bool:
        """Whether all of its workers serve. While Redis does not answer, they do not."""
        try:
            if not self.alive() or len(self.pids(redis_url)) < self.workers:
                return False
        except RedisError:
            return False
        return http_status(f"{self.url}/ready", 6) == 200

    def stop(self) -> None:
        """Stop it with SIGTERM."""
        if self.child is not None:
            self.child.stop(STOP_SECONDS)

    def kill_manager(self) -> None:
        """kill -9 of the manager. Its workers must end by themselves."""
        os.kill(self.pid, signal.SIGKILL)

    def text(self) -> str:
        """Its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")


class Background:
    """The arq worker, with a supervisor that starts it again."""

    def __init__(self, env: Mapping[str, str], logs: Path) -> None:
        self._env, self._log = dict(env), logs / "arq.log"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self.child = self.another()
        self._thread.start()

    def another(self) -> Child:
        """Start one more arq worker, without a supervisor."""
        room = "tools.chaos.patched_jobs" if self._env.get("CHAOS_BUG") else "workers"
        command: list[str | Path] = [BIN / "arq", f"{room}.WorkerSettings"]
        return Child("arq", command, log=self._log, env=self._env, cwd=ROOT)

    def _supervise(self) -> None:
        while not self._stopped.wait(BACKGROUND_PAUSE):
            if not self.child.alive():
                self.child = self.another()

    def stop(self) -> None:
        """Stop both."""
        self._stopped.set()
        self._thread.join()
        self.child.stop(STOP_SECONDS)


class SmallDisk:
    """A file system of a few MB that can be filled. It needs the right to mount."""

    def __init__(self, place: Path, megabytes: int = 48) -> None:
        self.place, self._filler = place, place / "filler"
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "chaos", place], check=True)

    @staticmethod
    def possible(place: Path) -> bool:
        """Whether this process may mount one."""
        try:
            SmallDisk(place, 1).remove()
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def fill(self) -> None:
        """Fill it up to the last byte."""
        with self._filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink()

    def remove(self) -> None:
        """Unmount."""
        subprocess.run(["umount", self.place], check=True)
