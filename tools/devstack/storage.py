"""Redis and PostgreSQL for one instance: whichever the environment does not name, we run ourselves."""

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from tools.devstack.paths import socket_directory
from tools.devstack.postgres import Postgres
from tools.devstack.runfile import ChildRegistry, write_private
from tools.devstack.valkey import Valkey

MAXMEMORY = "1gb"
"""Unless ``REDIS_MAXMEMORY`` says otherwise, in Redis' own units."""
SECRET_NAME = "jwt_secret"  # noqa: S105 - the name of a file


class Storage:
    """The embedded servers of a data directory. ``env`` becomes what the product is started with."""

    def __init__(self, data: Path, env: Mapping[str, str]) -> None:
        self._data = data
        self.env = {name: value for name, value in env.items() if value != ""}
        self.valkey = None if "REDIS_URL" in self.env else _valkey(data, self.env)
        self.postgres = None if "DATABASE_URL" in self.env else Postgres(data)

    def start(self, registry: ChildRegistry) -> None:
        """Start what is ours.

        :raises ChildError: when it does not come up
        """
        if self.valkey:
            self.valkey.start()
            registry.add(self.valkey.running())
            self.env["REDIS_URL"] = self.valkey.url
        if self.postgres:
            self.postgres.start()
            registry.add(self.postgres.running())
            self.env["DATABASE_URL"] = self.postgres.dsn()

    def stop(self) -> None:
        """In the opposite order."""
        for server in (self.postgres, self.valkey):
            if server:
                server.stop()
        if self.valkey or self.postgres:
            # Nobody uses them now; and a server that was killed has left its own there.
            shutil.rmtree(socket_directory(self._data), ignore_errors=True)


def _valkey(data: Path, env: Mapping[str, str]) -> Valkey:
    # With a limit chats are refused in time; without one the kernel ends the server.
    options = {"maxmemory": env.get("REDIS_MAXMEMORY", MAXMEMORY)}
    return Valkey(data / "valkey", socket_directory(data), appendonly=True, options=options)


def secret_of(data: Path) -> str:
    """The secret that signs tokens; made at the first start, so that people stay logged in over restarts."""
    path = data / SECRET_NAME
    if not path.exists():
        write_private(path, secrets.token_urlsafe(48) + "\n")
    return path.read_text(encoding="ascii").strip()
