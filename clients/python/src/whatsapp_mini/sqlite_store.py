"""The store in a file: SQLite, durable when a method returns, used by one process at a time or by several."""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from json import dumps, loads
from pathlib import Path
from typing import Any, Final, TypeVar

from whatsapp_mini.messages import RANKS, Failure, Message, State
from whatsapp_mini.sqlite_file import SqliteFile, locked
from whatsapp_mini.store import (
    Change,
    Chat,
    Discarded,
    HasFailed,
    Kept,
    News,
    OwnChat,
    Read,
    Receipt,
    Retried,
    Sent,
    Session,
    digest,
)

T = TypeVar("T")
REMEMBERED_MS: Final = 30 * 24 * 3600 * 1000
DAY_MS: Final = 24 * 3600 * 1000
_COLUMNS: Final = "id, peer, mine, text, timestamp, state, stream_id, error_code, error"


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is kept of the talk with one person."""

    peer: str
    last: Message
    unread: int


class SqliteStore:
    """Keeps it in ``path`` and the files beside it, readable by their owner alone: they hold tokens and texts.

    Everything runs in a thread of its own, since to write durably (``synchronous=FULL``) waits for the disk. All
    methods raise :class:`StoreError` if the file cannot be read or written.

    :param history: keep the texts of all messages, for :meth:`history` and :meth:`conversations`; without it they are
        forgotten when they are sent or handed over, and what else is known of a message after 30 days
    """

    def __init__(self, path: str | os.PathLike[str], *, history: bool = False) -> None:
        self.history = history
        self._path = Path(path)
        self._file: SqliteFile | None = None
        self._lock = asyncio.Lock()
        self._newest = 0
        """Up to which timestamp, in ms, what is too old was looked for."""

    # ---- as every store

    async def load(self) -> Kept:
        """What there is.

        :raises StoreMismatch: a newer version of this package wrote it
        """
        return await self._do(self._load)

    async def save_session(self, session: Session | None) -> None:
        """Keep it, or remove it."""
        await self._do(lambda db: _save(db, "session", None if session is None else dumps(asdict(session))))

    async def locked(self, task: Callable[[], Awaitable[T]]) -> T:
        """Run it while no other user of the file runs one, in this process or another."""
        async with self._lock, locked(self._path):
            return await task()

    async def add(self, messages: Sequence[Message]) -> list[Message]:
        """Keep messages to be sent. One that is there already (peer, id) stays as it is, and is given back."""
        return await self._do(lambda db: [_add(db, message) for message in messages])

    async def apply(self, changes: Sequence[Change]) -> list[News]:
        """In one transaction; what was no news is left out of the answer."""
        return await self._do(lambda db: [news for each in changes if (news := self._apply(db, each)) is not None])

    async def unknown(self, chats: Sequence[Message]) -> list[Message]:
        """Those that are not known (C30), each once."""
        return await self._do(lambda db: _unknown(db, chats))

    async def save_epoch(self, epoch: str) -> None:
        """Keep it, and forget all ``stream_id`` if there was another one."""
        await self._do(lambda db: _save_epoch(db, epoch))

    async def close(self) -> None:
        """Close the file. It may be used again."""
        file, self._file = self._file, None
        if file is not None:
            await file.close()

    # ---- with a history

    async def messages_with(self, peer: str, before: Message | None = None, limit: int = 50) -> list[Message]:
        """The latest messages of a conversation, the oldest of them first.

        :param before: only those that are older than this one
        """
        return await self._do(lambda db: _messages_with(db, peer, before, limit))

    async def conversations(self) -> list[Conversation]:
        """All of them, the one with the latest message first."""
        return await self._do(_conversations)

    async def search(self, text: str, limit: int = 50) -> list[Message]:
        """The latest messages with this in their text, in whatever case of ASCII letters; the latest first."""
        return await self._do(lambda db: _search(db, text, limit))

    # ---- in the thread

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._file is None:
            self._file = SqliteFile(self._path)
        return await self._file.do(work)

    def _load(self, db: sqlite3.Connection) -> Kept:
        self._forget_old(db)
        account = dict(db.execute("SELECT name, value FROM account"))
        session = Session(**loads(account["session"])) if "session" in account else None
        unsettled = _select(db, "WHERE state IN ('waiting', 'failed') ORDER BY n")
        reads: dict[str, list[str]] = {}
        for peer, id in db.execute("SELECT peer, id FROM untold_reads"):
            reads.setdefault(peer, []).append(id)
        return Kept(
            session,
            account.get("epoch"),
            [message for message in unsettled if message.state == "waiting"],
            [message for message in unsettled if message.state == "failed"],
            [(peer, tuple(ids)) for peer, ids in reads.items()],
        )

    def _apply(self, db: sqlite3.Connection, change: Change) -> News | None:
        match change:
            case Chat(message):
                return self._came(db, change, message)
            case OwnChat(message):
                return self._sent_elsewhere(db, change, message)
            case Sent(peer, id, timestamp):
                return self._raised(db, change, peer, (id,), "sent", timestamp)
            case Receipt(peer, ids, state, timestamp):
                return self._raised(db, change, peer, ids, state, timestamp)
            case HasFailed() | Retried() | Discarded():
                return _settled(db, change)
            case Read():
                return _read(db, change)

    def _forget_old(self, db: sqlite3.Connection) -> None:
        """What is 30 days older than the latest: by the server's clock, since this machine's may be wrong."""
        if self.history:
            return
        settled = "state NOT IN ('waiting', 'failed')"
        latest = db.execute(f"SELECT max(timestamp) FROM messages WHERE {settled}").fetchone()[0]  # noqa: S608 - no data
        if latest is not None:
            self._newest = latest
            old = f"DELETE FROM messages WHERE timestamp < ? AND {settled}"  # noqa: S608 - the same
            db.execute(old, (latest - REMEMBERED_MS,))

    def _came(self, db: sqlite3.Connection, change: Change, message: Message) -> News | None:
        if not _unknown(db, [message]):
            return None
        if message.timestamp > self._newest + DAY_MS:  # a bot may run for years
            self._forget_old(db)
        _insert(db, message, text=message.text if self.history else "")
        return News(change, (message.id,), message)

    def _sent_elsewhere(self, db: sqlite3.Connection, change: Change, message: Message) -> News | None:
        text = message.text if self.history else ""
        found = db.execute("SELECT known, state FROM messages WHERE mine AND peer = ? AND id = ?", _place(message))
        known, state = found.fetchone() or (None, message.state)
        if known:
            return None
        if known is None:
            _insert(db, message, text=text)
        else:
            db.execute(
                "UPDATE messages SET known = 1, text = ?, digest = ?, timestamp = ?, stream_id = ?"
                " WHERE mine AND peer = ? AND id = ?",
                (text, digest(message.text), message.timestamp, message.stream_id, *_place(message)),
            )
        return News(change, (message.id,), replace(message, state=state))

    def _raised(
        self, db: sqlite3.Connection, change: Change, peer: str, ids: Sequence[str], state: State, timestamp: int
    ) -> News | None:
        """A receipt of a message that is not known is kept for its own (C33)."""
        raised = []
        for id in dict.fromkeys(ids):
            found = db.execute(
                "SELECT n, state FROM messages WHERE mine AND peer = ? AND id = ?", (peer, id)
            ).fetchone()
            if found is None:
                message = Message(id, peer, mine=True, text="", timestamp=timestamp, state=state)
                _insert(db, message, text="", known=False)
            elif RANKS[found[1]] < RANKS[state]:
                self._raise(db, found[0], state, timestamp, was_unsent=RANKS[found[1]] == 0)
            else:
                continue
            raised.append(id)
        return News(change, tuple(raised)) if raised else None

    def _raise(self, db: sqlite3.Connection, n: int, state: State, timestamp: int, *, was_unsent: bool) -> None:
        """The server's time of a message is that of its ``sent``."""
        db.execute("UPDATE messages SET state = ?, error_code = NULL, error = NULL WHERE n = ?", (state, n))
        if was_unsent:
            db.execute("UPDATE messages SET timestamp = ? WHERE n = ?", (timestamp, n))
            if not self.history:
                db.execute("UPDATE messages SET text = '' WHERE n = ?", (n,))


# ---- rows


def _save(db: sqlite3.Connection, name: str, value: str | None) -> None:
    if value is None:
        db.execute("DELETE FROM account WHERE name = ?", (name,))
    else:
        db.execute("INSERT OR REPLACE INTO account VALUES (?, ?)", (name, value))


def _save_epoch(db: sqlite3.Connection, epoch: str) -> None:
    before = db.execute("SELECT value FROM account WHERE name = 'epoch'").fetchone()
    if before is not None and before[0] != epoch:
        db.execute("UPDATE messages SET stream_id = NULL WHERE stream_id IS NOT NULL")
    _save(db, "epoch", epoch)


def _insert(db: sqlite3.Connection, message: Message, *, text: str, known: bool = True) -> None:
    db.execute(
        "INSERT INTO messages (mine, peer, id, digest, text, timestamp, state, stream_id, known)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message.mine,
            message.peer,
            message.id,
            digest(message.text),
            text,
            message.timestamp,
            message.state,
            message.stream_id,
            known,
        ),
    )


def _select(db: sqlite3.Connection, where: str, values: Sequence[Any] = ()) -> list[Message]:
    return [_message(row) for row in db.execute(f"SELECT {_COLUMNS} FROM messages {where}", values)]  # noqa: S608 - the same


def _message(row: Sequence[Any]) -> Message:
    id, peer, mine, text, timestamp, state, stream_id, code, error = row
    failure = None if code is None else Failure(code, error)
    return Message(id, peer, bool(mine), text, timestamp, state, stream_id, failure)


def _place(message: Message) -> tuple[str, str]:
    return message.peer, message.id


def _add(db: sqlite3.Connection, message: Message) -> Message:
    found = db.execute("SELECT known, digest FROM messages WHERE mine AND peer = ? AND id = ?", _place(message))
    known, known_digest = found.fetchone() or (None, None)
    if known is None:
        _insert(db, message, text=message.text)
        return message
    if not known:
        db.execute(
            "UPDATE messages SET known = 1, digest = ? WHERE mine AND peer = ? AND id = ?",
            (digest(message.text), *_place(message)),
        )
    kept = _select(db, "WHERE mine AND peer = ? AND id = ?", _place(message))[0]
    is_same = not known or known_digest == digest(message.text)
    return replace(kept, text=message.text) if is_same else kept


def _unknown(db: sqlite3.Connection, chats: Sequence[Message]) -> list[Message]:
    fresh: dict[tuple[str, str, bytes], Message] = {}
    for chat in chats:
        key = (*_place(chat), digest(chat.text))
        known = "SELECT 1 FROM messages WHERE NOT mine AND peer = ? AND id = ? AND digest = ?"
        if db.execute(known, key).fetchone() is None and not _knows_stream_id(db, chat.stream_id):
            fresh.setdefault(key, chat)
    return list(fresh.values())


def _knows_stream_id(db: sqlite3.Connection, stream_id: str | None) -> bool:
    if stream_id is None:
        return False
    return db.execute("SELECT 1 FROM messages WHERE stream_id = ?", (stream_id,)).fetchone() is not None


def _settled(db: sqlite3.Connection, change: HasFailed | Retried | Discarded) -> News | None:
    place, wanted = (change.peer, change.id), "waiting" if isinstance(change, HasFailed) else "failed"
    found = _select(db, "WHERE mine AND peer = ? AND id = ? AND state = ?", (*place, wanted))
    if not found:
        return None
    message = found[0]
    if isinstance(change, HasFailed):
        message = replace(message, state="failed", error=change.error)
        db.execute(
            "UPDATE messages SET state = 'failed', error_code = ?, error = ? WHERE mine AND peer = ? AND id = ?",
            (change.error.code, change.error.message, *place),
        )
        return News(change, (change.id,), message)
    db.execute("DELETE FROM messages WHERE mine AND peer = ? AND id = ?", place)
    if isinstance(change, Retried):
        message = replace(message, id=change.new_id, state="waiting", error=None)
        _insert(db, message, text=message.text)
    return News(change, (change.id,), message)


def _read(db: sqlite3.Connection, change: Read) -> News | None:
    pairs = [(change.peer, id) for id in change.ids]
    if change.where == "told":
        db.executemany("DELETE FROM untold_reads WHERE peer = ? AND id = ?", pairs)
        return None
    if change.where == "here":
        db.executemany("INSERT OR IGNORE INTO untold_reads VALUES (?, ?)", pairs)
    db.executemany("UPDATE messages SET state = 'read' WHERE NOT mine AND peer = ? AND id = ?", pairs)
    return News(change, change.ids)


# ---- the history


def _messages_with(db: sqlite3.Connection, peer: str, before: Message | None, limit: int) -> list[Message]:
    shown = "WHERE peer = ? AND known"
    if before is None:
        found = _select(db, f"{shown} ORDER BY timestamp DESC, n DESC LIMIT ?", (peer, limit))
    else:
        place = "(SELECT timestamp, n FROM messages WHERE mine = ? AND peer = ? AND id = ? ORDER BY n LIMIT 1)"
        values = (peer, before.mine, before.peer, before.id, limit)
        found = _select(db, f"{shown} AND (timestamp, n) < {place} ORDER BY timestamp DESC, n DESC LIMIT ?", values)
    return found[::-1]


def _conversations(db: sqlite3.Connection) -> list[Conversation]:
    unread = dict(db.execute("SELECT peer, count(*) FROM messages WHERE NOT mine AND state = 'new' GROUP BY peer"))
    last = _select(
        db,
        "AS one WHERE known AND n = (SELECT n FROM messages AS other WHERE other.peer = one.peer AND known"
        " ORDER BY timestamp DESC, n DESC LIMIT 1) ORDER BY timestamp DESC, n DESC",
    )
    return [Conversation(message.peer, message, unread.get(message.peer, 0)) for message in last]


def _search(db: sqlite3.Connection, text: str, limit: int) -> list[Message]:
    pattern = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return _select(
        db,
        "WHERE known AND text LIKE ? ESCAPE '\\' ORDER BY timestamp DESC, n DESC LIMIT ?",
        (f"%{pattern}%", limit),
    )
