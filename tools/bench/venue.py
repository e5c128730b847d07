"""What is measured: a server that is running, with people who can connect to it."""

from collections.abc import Sequence
from typing import Protocol

from tools.bench.cpu import Processes
from tools.bench.line import Account, Ear, Line


class Absent(Exception):
    """This contender cannot be had here; the message says how it could be."""


class Venue(Protocol):
    """A running server, ours or another."""

    name: str

    async def prepare(self) -> None:
        """Called before each run: several contenders may share one server."""

    async def people(self, count: int) -> Sequence[Account]:
        """So many accounts; the same ones when asked again."""

    async def connect(self, account: Account, ear: Ear) -> Line:
        """Open a connection; return once everything that waited has been told.

        :raises ConnectError: when it does not come about
        """

    def processes(self) -> Processes:
        """Who does the work, by role."""

    async def facts(self) -> dict[str, str]:
        """Versions and settings that belong into the record."""

    async def close(self) -> None:
        """Stop it, and leave nothing behind."""
