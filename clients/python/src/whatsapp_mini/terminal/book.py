"""What the account's file says: the client's history, and beside it names and drafts.

Reads are short and done at once. The client writes messages through its store; nothing here changes one.
"""

import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from whatsapp_mini import Message
from whatsapp_mini.messages import Failure, State
from whatsapp_mini.terminal.chats import Chat

_PEOPLE: Final = """
CREATE TABLE IF NOT EXISTS people (
    peer TEXT PRIMARY KEY,
    name TEXT NOT NULL DEFAULT '',
    draft TEXT NOT NULL DEFAULT '',
    blocked INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""
_COLUMNS: Final = "id, peer, mine, text, timestamp, state, stream_id, error_code, error"
_ORDER: Final = "timestamp, n"


class Book:
    """Chats, messages and people of one account."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, timeout=10, isolation_level=None)
        self._database.execute("PRAGMA synchronous = NORMAL")  # for names and drafts the disk need not be waited for
        self._database.execute(_PEOPLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._database.close()

    # ---- chats

    def chats(self) -> list[Chat]:
        """Everybody with whom something was said, or to whom something was begun."""
        peers = self._database.execute(
            "SELECT peer FROM messages WHERE known GROUP BY peer UNION SELECT peer FROM people WHERE draft != ''"
        )
        return [self.chat(peer) for (peer,) in peers.fetchall()]

    def chat(self, peer: str) -> Chat:
        """One of them."""
        (unread,) = self._one("SELECT count(*) FROM messages WHERE peer = ? AND NOT mine AND state = 'new'", peer)
        last = self.messages(peer, count=1)
        name, draft, blocked = self._one("SELECT name, draft, blocked FROM people WHERE peer = ?", peer) or ("", "", 0)
        return Chat(peer, name, last[0] if last else None, unread, draft, bool(blocked))

    def keep_name(self, peer: str, name: str) -> None:
        """What the server says that a person is called."""
        self._set(peer, "name", name)

    def keep_draft(self, peer: str, text: str) -> None:
        """What was begun and not sent."""
        self._set(peer, "draft", text)

    def keep_blocked(self, peers: Collection[str]) -> None:
        """Who is blocked: these and nobody else."""
        self._database.execute("UPDATE people SET blocked = 0")
        for peer in peers:
            self.keep_block(peer, block=True)

    def keep_block(self, peer: str, *, block: bool) -> None:
        """Whether one person is blocked."""
        self._set(peer, "blocked", int(block))

    def _set(self, peer: str, column: str, value: str | int) -> None:
        self._database.execute("INSERT OR IGNORE INTO people (peer) VALUES (?)", (peer,))
        self._database.execute(f"UPDATE people SET {column} = ? WHERE peer = ?", (value, peer))  # noqa: S608

    # ---- messages

    def messages(
        self, peer: str, *, count: int, before: Message | None = None, since: Message | None = None
    ) -> list[Message]:
        """The latest of a conversation, oldest first.

        :param before: only those before this one
        :param since: so many before this one, and everything after it
        """
        anchor = before or since
        where: str = ""
        arguments: tuple[object, ...] = (peer,)
        if anchor is not None:
            where, arguments = f"AND ({_ORDER}) < (?, ?)", (peer, anchor.timestamp, self._row(anchor))
        found = self._messages(f"peer = ? {where} ORDER BY timestamp DESC, n DESC LIMIT ?", *arguments, count)
        if since is not None:
            later = f"peer = ? AND ({_ORDER}) >= (?, ?) ORDER BY {_ORDER}"
            return found[::-1] + self._messages(later, *arguments)
        return found[::-1]

    def mine(self, peer: str, message_ids: Sequence[str]) -> list[Message]:
        """Messages of one's own as they are kept now."""
        marks = ", ".join("?" for _ in message_ids)
        return self._messages(f"mine AND peer = ? AND id IN ({marks}) ORDER BY {_ORDER}", peer, *message_ids)

    def failed(self, peer: str) -> list[Message]:
        """Those of one's own that were refused for good."""
        return self._messages(f"peer = ? AND mine AND state = 'failed' ORDER BY {_ORDER}", peer)

    def waiting(self) -> int:
        """How many of one's own wait to be sent."""
        return int(self._one("SELECT count(*) FROM messages WHERE mine AND state = 'waiting'")[0])

    def search(self, text: str, count: int) -> list[tuple[int, Message]]:
        """Messages with this text in them, the latest first, with their rows."""
        pattern = "%" + text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        where = "text LIKE ? ESCAPE '\\' ORDER BY timestamp DESC, n DESC LIMIT ?"
        return [(self._row(message), message) for message in self._messages(where, pattern, count)]

    def by_row(self, row: int) -> Message:
        """The message of a row that :meth:`search` gave."""
        return self._messages("n = ?", row)[0]

    def _row(self, message: Message) -> int:
        where = "SELECT n FROM messages WHERE peer = ? AND id = ? AND mine = ? AND (mine OR text = ?)"
        return int(self._one(where, message.peer, message.id, message.mine, message.text)[0])

    def _messages(self, where: str, *arguments: object) -> list[Message]:
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM messages WHERE known AND {where}", arguments)  # noqa: S608
        return [_message(*row) for row in rows.fetchall()]

    def _one(self, query: str, *arguments: object) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = self._database.execute(query, arguments).fetchone()
        return row or ()


def _message(
    message_id: str,
    peer: str,
    mine: int,
    text: str,
    timestamp: int,
    state: State,
    stream_id: str | None,
    code: str | None,
    reason: str | None,
) -> Message:
    error = Failure(code, reason or "") if code else None
    return Message(message_id, peer, bool(mine), text, timestamp, state, stream_id, error)
