"""What the modes know of a server under test and of a client's connection to it, independent of protocol."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tools.bench.accounting import Ledger
from tools.bench.activity import WatchedRedis
from tools.bench.cpu import Processes

TEXT = ("The quick brown fox jumps over the lazy dog. " * 5)[:200]
"""The text of every chat: 200 bytes."""


class ConnectError(Exception):
    """A connection could not be opened; the message names the step that failed."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person who can connect.

    :param address: what others send to
    :param secret: a token, or a password
    """

    address: str
    secret: str


class Connection(Protocol):
    """One open connection. Chats may be sent in quick succession; the connection joins them into fewer writes."""

    def chat(self, to: str, message_id: str) -> None:
        """Send a chat with the usual text."""

    def end(self) -> None:
        """Close the socket without a close handshake."""


def _nothing(_pair: int, _number: int) -> None:
    pass


class Recorder:
    """Records in the ledger what a connection receives, and calls back for what is new.

    :param on_arrived: called with pair and number of every chat that arrived for the first time
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
        """An error frame."""
        self.ledger.refuse(code, message_id)

    def closed(self, why: str = "") -> None:
        """The connection ended; ``why`` is the close code and its reason, where the server sent one."""
        if not self.ended:
            self.ledger.close(why or "without a word")


class NotInstalled(Exception):
    """A contender's packages are not installed here; the message names the command that installs them."""


class Environment(Protocol):
    """A running server: this product or another."""

    name: str

    async def prepare(self) -> None:
        """Called before each run: several contenders may share one server."""

    async def accounts(self, count: int) -> Sequence[Account]:
        """The first ``count`` accounts; the same ones in each call."""

    async def connect(self, account: Account, recorder: Recorder) -> Connection:
        """Open a connection; return once the backlog has been delivered.

        :raises ConnectError: when it cannot be opened
        """

    def processes(self) -> Processes:
        """The processes that do the work, by role."""

    @property
    def watched_redis(self) -> WatchedRedis | None:
        """The Redis whose commands are counted, where there is one."""

    async def facts(self) -> dict[str, str]:
        """Versions and settings for the record."""

    async def close(self) -> None:
        """Stop the server and remove its files."""
