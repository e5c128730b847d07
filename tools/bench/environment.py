"""What the modes know of a connection, whatever protocol it speaks.

What is measured: a server that is running, with people who can connect to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tools.bench.accounting import Ledger
from tools.bench.cpu import Processes

TEXT = ("The quick brown fox jumps over the lazy dog. " * 5)[:200]
"""What every chat says: 200 bytes."""


class ConnectError(Exception):
    """A connection did not come about; the message says at which step."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can connect.

    :param address: what others send to
    :param secret: a token, or a password
    """

    address: str
    secret: str


class Connection(Protocol):
    """One open connection. Chats may be sent at once; what they need to be joined is the line's own business."""

    def chat(self, to: str, message_id: str) -> None:
        """Send a chat with the usual text."""

    def end(self) -> None:
        """Hang up, without goodbye."""


def _nothing(_pair: int, _number: int) -> None:
    pass


class Recorder:
    """What a connection tells: enters it into the books, and passes on what is new.

    :param on_arrived: called with pair and number of every chat that came for the first time
    :param on_receipt: the same for receipts
    :param on_stored: the same for single ticks
    """

    def __init__(
        self,
        ledger: Ledger,
        on_arrived: Callable[[int, int], None] = _nothing,
        on_receipt: Callable[[int, int], None] = _nothing,
        on_stored: Callable[[int, int], None] = _nothing,
    ) -> None:
        self.ledger = ledger
        self._pairs, self._locate = ledger.pairs, ledger.locate
        self._on_arrived, self._on_receipt, self._on_stored = on_arrived, on_receipt, on_stored
        self.ended = False

    def stored(self, message_id: str) -> None:
        """The single tick."""
        if (found := self._locate(message_id)) and self._pairs[found[0]].stored.add(found[1]):
            self._on_stored(*found)

    def arrived(self, message_id: str) -> None:
        """A chat."""
        if (found := self._locate(message_id)) and self._pairs[found[0]].arrived.add(found[1]):
            self._on_arrived(*found)

    def receipt(self, message_id: str) -> None:
        """The double tick."""
        if (found := self._locate(message_id)) and self._pairs[found[0]].receipted.add(found[1]):
            self._on_receipt(*found)

    def refused(self, code: str, message_id: str) -> None:
        """The server said no."""
        self.ledger.refuse(code, message_id)

    def closed(self, why: str = "") -> None:
        """The connection is gone; ``why`` is the close code and its reason, where the server gave one."""
        if not self.ended:
            self.ledger.close(why or "without a word")


class NotInstalled(Exception):
    """This contender cannot be had here; the message says how it could be."""


class Environment(Protocol):
    """A running server, ours or another."""

    name: str

    async def prepare(self) -> None:
        """Called before each run: several contenders may share one server."""

    async def accounts(self, count: int) -> Sequence[Account]:
        """So many accounts; the same ones when asked again."""

    async def connect(self, account: Account, recorder: Recorder) -> Connection:
        """Open a connection; return once everything that waited has been told.

        :raises ConnectError: when it does not come about
        """

    def processes(self) -> Processes:
        """Who does the work, by role."""

    async def facts(self) -> dict[str, str]:
        """Versions and settings that belong into the record."""

    async def close(self) -> None:
        """Stop it, and leave nothing behind."""
