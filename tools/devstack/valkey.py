"""A real Valkey (or Redis) of our own, on a unix socket."""

import contextlib
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from tools.devstack.allocator import Allocator, best_allocator, libc
from tools.devstack.binaries import is_of_wheel, valkey_server
from tools.devstack.paths import private_directory
from tools.devstack.process import Child, EmbeddedServer

START_SECONDS = 20.0  # a big append-only file takes its time to load
DIRECTIVES = {
    "appendonly": "yes",
    "appendfsync": "always",
    "auto-aof-rewrite-min-size": "256mb",
    "maxmemory-policy": "noeviction",
    "save": "",
    "hash-max-listpack-entries": "128",
    "stream-node-max-bytes": "1024",
    "stream-node-max-entries": "8",
}
"""As docs/OPERATIONS.md explains them ("Directives"). The server warns of others: delivery/redis/configuration.py."""


class Valkey(EmbeddedServer):
    """One server; ``data`` holds what it keeps, ``sockets`` its socket. Start, stop, kill, start again at will."""

    name = "Valkey"

    def __init__(
        self, data: Path, sockets: Path, *, appendonly: bool, options: Mapping[str, str] | None = None
    ) -> None:
        """``options`` are further configuration directives, by name without the dashes."""
        self.data, self.socket = data, sockets / "valkey.sock"
        self.log = data.parent / "logs" / "valkey.log"
        self.url = f"unix://{self.socket}?db=0"
        self.allocator = Allocator("its own")
        """As of the last start."""
        self._options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(data),
            **DIRECTIVES,
            "appendonly": "yes" if appendonly else "no",
            "set-proc-title": "no",
            "daemonize": "no",
            **(options or {}),
        }

    def start(self) -> None:
        """Start and wait until it answers.

        :raises ChildError: when it does not come up
        """
        private_directory(self.data)
        program = valkey_server()
        if not is_of_wheel(program):
            self._start(Allocator("its own"))
            return
        with best_allocator(program, self.socket.parent) as allocator:
            self._start(allocator)
        if allocator.library and not allocator.is_used_by(self.pid):
            self.allocator = libc(f"{allocator.library} was not loaded")

    def _start(self, allocator: Allocator) -> None:
        self.allocator = allocator
        self.child = Child(self.name, self._command(), log=self.log, env={**os.environ, **allocator.env})
        self.child.await_ready(self.answers, START_SECONDS)

    def _command(self) -> list[str | Path]:
        # One argument per value: a path with spaces would otherwise fall apart.
        directives = [part for name, value in self._options.items() for part in (f"--{name}", value)]
        return [valkey_server(), *directives]

    def answers(self) -> bool:
        """Whether it takes commands (while it loads its file it answers, but not with PONG)."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(self.socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        return False

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers."""
        self.running().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw it."""
        self.running().signal(signal.SIGCONT)
