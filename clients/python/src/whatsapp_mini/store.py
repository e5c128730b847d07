"""What a client keeps, what may happen to it, and the store in memory."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeVar

from whatsapp_mini.messages import RANKS, Failure, Message, State

T = TypeVar("T")
REMEMBERED = 100_000
"""So many chats, and so many ticks, :class:`MemoryStore` knows again."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a log-in or a refresh brought, and where. Times are RFC 3339. The tokens are in no ``repr``."""

    url: str
    mobile_no: str
    id: str
    name: str
    device_id: str
    token: str = field(repr=False)
    expires_at: str
    refresh_token: str = field(repr=False)
    refresh_expires_at: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What a store gives at the start.

    :param waiting: messages to be sent, in the order in which they were written
    :param failed: those that failed, and were neither retried nor discarded
    :param reads: of each peer, what was read here and the server was not told
    """

    session: Session | None = None
    epoch: str | None = None
    waiting: Sequence[Message] = ()
    failed: Sequence[Message] = ()
    reads: Sequence[tuple[str, tuple[str, ...]]] = ()


# ---- changes


@dataclass(frozen=True, slots=True)
class Chat:
    """Somebody's message came."""

    message: Message


@dataclass(frozen=True, slots=True)
class OwnChat:
    """Another device of this person sent a message."""

    message: Message


@dataclass(frozen=True, slots=True)
class Sent:
    """The server has stored a message of one's own."""

    peer: str
    id: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of messages of one's own."""

    peer: str
    ids: tuple[str, ...]
    state: State
    timestamp: int


@dataclass(frozen=True, slots=True)
class HasFailed:
    """A message was refused for good."""

    peer: str
    id: str
    error: Failure


@dataclass(frozen=True, slots=True)
class Retried:
    """A failed message waits again, behind all others, under ``new_id`` (C24)."""

    peer: str
    id: str
    new_id: str


@dataclass(frozen=True, slots=True)
class Discarded:
    """A failed message is not wanted any more."""

    peer: str
    id: str


@dataclass(frozen=True, slots=True)
class Read:
    """Messages of somebody were read: ``here``; the server was ``told`` so; or ``elsewhere``, on another device."""

    peer: str
    ids: tuple[str, ...]
    where: Literal["here", "told", "elsewhere"]


Change = Chat | OwnChat | Sent | Receipt | HasFailed | Retried | Discarded | Read


@dataclass(frozen=True, slots=True)
class News:
    """A change that changed something.

    :param ids: the messages that it changed
    :param message: as it is kept now; of ``Chat``, ``OwnChat``, ``HasFailed``, ``Retried`` and ``Discarded``
    """

    change: Change
    ids: tuple[str, ...]
    message: Message | None = None


class Store(Protocol):
    """Keeps what must survive, for one account and one device. What a method has returned from is durable.

    ``history``: whether it keeps the texts of what came. If not, and nobody listens, chats stay at the server.
    """

    history: bool

    async def load(self) -> Kept:
        """What there is."""
        ...

    async def save_session(self, session: Session | None) -> None:
        """Keep it, or remove it."""
        ...

    async def locked(self, task: Callable[[], Awaitable[T]]) -> T:
        """Run it while no other user of the same store runs one."""
        ...

    async def add(self, messages: Sequence[Message]) -> list[Message]:
        """Keep messages to be sent, in this order and in one transaction.

        One that is there already (peer, id) stays as it is. What is kept now is given back, for each in its place.
        """
        ...

    async def apply(self, changes: Sequence[Change]) -> list[News]:
        """In one transaction; what was no news is left out of the answer."""
        ...

    async def unknown(self, chats: Sequence[Message]) -> list[Message]:
        """Those that are not known (C30), each once."""
        ...

    async def save_epoch(self, epoch: str) -> None:
        """Keep it, and forget all ``stream_id`` if there was another one."""
        ...

    async def close(self) -> None:
        """Let go of files and threads. The store may be used again."""
        ...


def digest(text: str) -> bytes:
    """By which a text is known again."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


class MemoryStore:
    """Keeps nothing beyond the process: for scripts, and for bots that may forget. It keeps no history."""

    history = False

    def __init__(self) -> None:
        self._session: Session | None = None
        self._epoch: str | None = None
        self._outgoing: dict[tuple[str, str], Message] = {}
        self._chats: _Latest[tuple[str, str, bytes], None] = _Latest()
        self._stream_ids: _Latest[str | None, None] = _Latest()
        self._ticks: _Latest[tuple[str, str], State] = _Latest()
        self._own: _Latest[tuple[str, str], None] = _Latest()
        self._reads: dict[str, list[str]] = {}
        self._lock = asyncio.Lock()

    async def load(self) -> Kept:
        """What there is."""
        mine = self._outgoing.values()
        return Kept(
            self._session,
            self._epoch,
            [message for message in mine if message.state == "waiting"],
            [message for message in mine if message.state == "failed"],
            [(peer, tuple(ids)) for peer, ids in self._reads.items()],
        )

    async def save_session(self, session: Session | None) -> None:
        """Keep it, or remove it."""
        self._session = session

    async def locked(self, task: Callable[[], Awaitable[T]]) -> T:
        """Run it while no other client of this store runs one."""
        async with self._lock:
            return await task()

    async def add(self, messages: Sequence[Message]) -> list[Message]:
        """Keep messages to be sent."""
        return [self._outgoing.setdefault((message.peer, message.id), message) for message in messages]

    async def apply(self, changes: Sequence[Change]) -> list[News]:
        """Nothing in between can fail, or be seen."""
        return [news for change in changes if (news := self._apply(change)) is not None]

    async def unknown(self, chats: Sequence[Message]) -> list[Message]:
        """Those that are not known (C30), each once."""
        fresh: dict[tuple[str, str, bytes], Message] = {}
        for chat in chats:
            if not self._knows(chat):
                fresh.setdefault(_key(chat), chat)
        return list(fresh.values())

    async def save_epoch(self, epoch: str) -> None:
        """Keep it, and forget all ``stream_id`` if there was another one."""
        if self._epoch not in (None, epoch):
            self._stream_ids.clear()
        self._epoch = epoch

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _knows(self, chat: Message) -> bool:
        return chat.stream_id in self._stream_ids or _key(chat) in self._chats

    def _apply(self, change: Change) -> News | None:
        match change:
            case Chat(message):
                return self._came(change, message)
            case OwnChat(message):
                return self._sent_elsewhere(change, message)
            case Sent(peer, id):
                return self._raised(change, peer, (id,), "sent")
            case Receipt(peer, ids, state):
                return self._raised(change, peer, ids, state)
            case HasFailed() | Retried() | Discarded():
                return self._settled(change)
            case Read():
                return self._read(change)

    def _came(self, change: Change, message: Message) -> News | None:
        known = self._knows(message)
        self._chats.put(_key(message), None)
        if message.stream_id is not None:
            self._stream_ids.put(message.stream_id, None)
        return None if known else News(change, (message.id,), message)

    def _sent_elsewhere(self, change: Change, message: Message) -> News | None:
        place = message.peer, message.id
        if place in self._own:
            return None
        self._own.put(place, None)
        state = self._ticks.setdefault(place, "sent")
        return News(change, (message.id,), replace(message, state=state))

    def _raised(self, change: Change, peer: str, ids: Sequence[str], state: State) -> News | None:
        raised = []
        for id in dict.fromkeys(ids):
            self._outgoing.pop((peer, id), None)
            if RANKS[self._ticks.get((peer, id), "waiting")] < RANKS[state]:
                self._ticks.put((peer, id), state)
                raised.append(id)
        return News(change, tuple(raised)) if raised else None

    def _settled(self, change: HasFailed | Retried | Discarded) -> News | None:
        place, wanted = (change.peer, change.id), "waiting" if isinstance(change, HasFailed) else "failed"
        message = self._outgoing.get(place)
        if message is None or message.state != wanted:
            return None
        del self._outgoing[place]
        if isinstance(change, HasFailed):
            message = self._outgoing[place] = replace(message, state="failed", error=change.error)
        elif isinstance(change, Retried):
            message = replace(message, id=change.new_id, state="waiting", error=None)
            self._outgoing[change.peer, change.new_id] = message
        return News(change, (change.id,), message)

    def _read(self, change: Read) -> News | None:
        untold = self._reads.setdefault(change.peer, [])
        if change.where == "here":
            untold += [id for id in change.ids if id not in untold]
        elif change.where == "told":
            untold[:] = [id for id in untold if id not in change.ids]
        if not untold:
            del self._reads[change.peer]
        return News(change, change.ids) if change.where != "told" else None


K = TypeVar("K")
V = TypeVar("V")


class _Latest(OrderedDict[K, V]):
    """Remembers what was put in lately."""

    def put(self, key: K, value: V) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > REMEMBERED:
            self.popitem(last=False)


def _key(chat: Message) -> tuple[str, str, bytes]:
    return chat.peer, chat.id, digest(chat.text)
