"""A real PostgreSQL of our own, on a unix socket. It refuses to run as root, so who it runs as is settled here too."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from tools.devstack.binaries import MissingServerError, postgres_folder
from tools.devstack.parent_death_guard import NOBODY
from tools.devstack.paths import fallback_name, private_directory, socket_directory
from tools.devstack.process import GUARD, Child, ChildError, EmbeddedServer, wait_until

USER = "whatsapp"
INIT_SECONDS = 60.0
START_SECONDS = 30.0  # recovery after a kill
_CONFIG = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "dynamic_shared_memory_type": "mmap",  # containers often have only 64 MB of /dev/shm
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",  # statements carry values, and no value belongs in a log
    "log_parameter_max_length_on_error": "0",
}
# For databases that live as long as a test run: nothing has to survive a power cut (but kill -9 it does survive).
FAST = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}


class Postgres(EmbeddedServer):
    """One cluster for the data directory ``data``. Start, stop, kill and start again as you like."""

    name = "PostgreSQL"

    def __init__(self, data: Path, *, options: Mapping[str, str] | None = None) -> None:
        """``options`` are further settings, as in postgresql.conf."""
        self.home = postgres_home(data)
        self.log = data / "logs" / "postgres.log"
        self._outside = Path("/var/tmp") / fallback_name(data)  # noqa: S108 - only removed, in destroy()
        self._options = {**_CONFIG, "unix_socket_directories": str(self.home.sockets), **(options or {})}

    def dsn(self, database: str = USER) -> str:
        """The URL of one database, as Tortoise takes it."""
        return f"postgres://{USER}@/{database}?host={self.home.sockets}"

    def start(self) -> None:
        """Create the cluster if there is none, start, make our database, wait until it answers.

        :raises ChildError: when it does not come up
        """
        if not self.home.data.exists():
            self._initialise()
        self._launch()
        self._ensure_database()

    def _initialise(self) -> None:
        # Into another name and renamed when done: a start killed half-way leaves nothing that looks complete.
        unfinished = self.home.data.with_name("postgres.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        command: list[str | Path] = [
            self.home.programs / "initdb",
            "-D",
            unfinished,
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        initdb = self._child("initdb", [*command, "--locale=C", "--no-sync"])
        if initdb.wait(INIT_SECONDS) != 0:
            raise ChildError(f"initdb failed. Its last words ({self.log}):\n{initdb.last_words()}")
        unfinished.rename(self.home.data)

    def _launch(self) -> None:
        """Sessions of a postmaster that was just killed may need a moment to notice; so try for a while."""
        settings = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.child = self._child(self.name, [self.home.programs / "postgres", "-D", self.home.data, *settings])
            try:
                self.child.await_ready(self._ready, START_SECONDS)
            except ChildError:
                self.child.stop(self.stop_seconds)
                if "is still in use" not in self.child.last_words() or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def _child(self, name: str, command: list[str | Path]) -> Child:
        return Child(
            name,
            command,
            log=self.log,
            env={**os.environ, "LC_ALL": "C"},
            cwd=self.home.data.parent,
            last_signal=signal.SIGINT,  # "fast": end the sessions, write everything, go
            identity=self.home.identity,
        )

    def _ready(self) -> bool:
        """The postmaster writes its state into the eighth line of this file; pg_ctl reads it there too."""
        try:
            lines = (self.home.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _ensure_database(self) -> None:
        if not self.fetch(f"SELECT 1 FROM pg_database WHERE datname = '{USER}'"):  # noqa: S608 - a constant
            self.fetch(f"CREATE DATABASE {USER}")

    def fetch(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement on a connection of its own; its rows."""
        # Not asyncio.run: that would take the current event loop away from a test runner that has set one.
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self._fetch(sql, database))
        finally:
            loop.close()

    async def _fetch(self, sql: str, database: str) -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(self.dsn(database), timeout=5)
        try:
            return [tuple(row.values()) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    def pause(self) -> None:
        """Freeze it, sessions too: connections stay open, nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw it."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        """The postmaster and its children (each in a session of its own, so no group reaches them)."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        for pid in (self.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):  # a session that ended meanwhile
                os.kill(pid, number)

    def destroy(self) -> None:
        """Stop and remove everything it kept."""
        self.stop()
        wait_until(lambda: not (self.home.data / "postmaster.pid").exists(), 1)
        for directory in (self.home.data, self._outside):
            shutil.rmtree(directory, ignore_errors=True)
        with contextlib.suppress(OSError):  # shared with a Valkey that still runs, or gone already
            self.home.sockets.rmdir()


@dataclass(frozen=True)
class PostgresHome:
    """``identity`` as parent_death_guard.py takes it; ``data`` holds the cluster, ``sockets`` its socket."""

    identity: str
    data: Path
    sockets: Path
    programs: Path


def postgres_home(data: Path) -> PostgresHome:
    """Where PostgreSQL can live for the data directory ``data``.

    Usually inside it. Only root without user namespaces (Docker's default) has to move out to where ``nobody`` can
    read and write.
    """
    identity = _identity()
    if identity == "nobody":
        return _home_of_nobody(data)
    return PostgresHome(identity, data.resolve() / "postgres", socket_directory(data), postgres_folder())


def run_as(identity: str, *command: str | Path) -> bool:
    """Whether a short command succeeds under that identity."""
    guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), "9", identity]
    return (
        subprocess.run(
            [*guard, *map(str, command)], cwd="/", capture_output=True, stdin=subprocess.DEVNULL, check=False
        ).returncode
        == 0
    )


def _identity() -> str:
    if sys.platform != "linux" or (os.geteuid() != 0 and _has_name(os.geteuid())):
        return "same"
    if run_as("userns", "true"):
        return "userns"
    return "nobody" if os.geteuid() == 0 else "same"


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _home_of_nobody(data: Path) -> PostgresHome:
    outside = private_directory(Path("/var/tmp") / fallback_name(data))  # noqa: S108 - the owner is checked
    outside.chmod(0o711)  # the user nobody has to get through to its own directory
    home = outside / "nobody"
    if not home.exists():
        home.mkdir(mode=0o700)
        os.chown(home, NOBODY, NOBODY)
    programs = postgres_folder()
    if not run_as("nobody", programs / "postgres", "--version"):
        programs = _copy_programs(programs, outside)
    return PostgresHome("nobody", home / "postgres", home, programs)


def _copy_programs(programs: Path, outside: Path) -> Path:
    """Copy the wheel's tree, libraries beside it and all (they are found by relative path)."""
    package = programs.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.is_dir():
        raise MissingServerError(f"PostgreSQL cannot run as root, and the user nobody cannot read {programs}.")
    target = outside / package.name / programs.parent.name
    shutil.copytree(programs.parent, target, dirs_exist_ok=True, symlinks=True)
    shutil.copytree(libraries, outside / libraries.name, dirs_exist_ok=True, symlinks=True)
    return target / programs.name
