"""Stores around the one in the account's file, for ``send`` and ``listen``."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from whatsapp_mini.messages import Message
from whatsapp_mini.store import Change, Chat, HasFailed, Kept, News, OwnChat, Read, Receipt, Session, Store

T = TypeVar("T")
Line = dict[str, Any]
Print = Callable[[Line], Awaitable[None]]


class Around:
    """A store that does what another one does."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.history = inner.history

    async def load(self) -> Kept:
        return await self._inner.load()

    async def save_session(self, session: Session | None) -> None:
        await self._inner.save_session(session)

    async def locked(self, task: Callable[[], Awaitable[T]]) -> T:
        return await self._inner.locked(task)

    async def add(self, messages: Sequence[Message]) -> list[Message]:
        return await self._inner.add(messages)

    async def apply(self, changes: Sequence[Change]) -> list[News]:
        return await self._inner.apply(changes)

    async def unknown(self, chats: Sequence[Message]) -> list[Message]:
        return await self._inner.unknown(chats)

    async def save_epoch(self, epoch: str) -> None:
        await self._inner.save_epoch(epoch)

    async def close(self) -> None:
        await self._inner.close()


class Unlistened(Around):
    """Nobody reads here. It says that it keeps no history, so the client leaves what comes with the server."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.history = False


class Journal:
    """Which lines are about to be printed, in a file: what a killed process may have printed is known afterwards."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._number = 0
        left = file.read_text(encoding="utf-8") if file.exists() else ""
        self.left: list[Line] = json.loads(left) if left else []
        """Of the process before, which was killed. They stay in the file until :meth:`left_done`."""
        self._lines: dict[int, list[Line]] = {self._number: self.left}

    def note(self, lines: list[Line]) -> int:
        """These are about to be printed; the number is for :meth:`done`."""
        self._number += 1
        self._lines[self._number] = lines
        self._write()
        return self._number

    def done(self, number: int) -> None:
        """They were printed, and what they say is kept."""
        del self._lines[number]
        self._write()

    def left_done(self) -> None:
        """Nothing more is to be done about what was left."""
        self.done(0)

    def _write(self) -> None:
        lines = [line for lines in self._lines.values() for line in lines]
        beside = self._file.with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(lines) if lines else "", encoding="utf-8")
        beside.replace(self._file)


class Printing(Around):
    """Prints before anything is acknowledged.

    A chat is printed by :meth:`show_message`, the client's handler, and then kept; the client has one in hand at a
    time. Receipts, and what other devices of this person did, are kept and then printed.
    """

    def __init__(self, inner: Store, journal: Journal, show: Print) -> None:
        super().__init__(inner)
        self._journal, self._show = journal, show
        self._in_hand: int | None = None
        self._doubtful: dict[tuple[str, str], int] = {}
        """Chats that a killed process may have printed and did not keep, by peer and id; and their numbers."""

    async def show_left(self) -> None:
        """Print what a killed process kept and may not have printed. Its chat comes again from the server.

        Until then it stays in the journal: receipts may overtake it, and this process may be killed as well.
        """
        chats = []
        for line in self._journal.left:
            if line["event"] == "message":
                chats.append(Message(line["id"], line["from"], False, line["text"], line["timestamp"], "new"))
            else:
                await self._show(line | {"again": True})
        for message in await self.unknown(chats):
            self._doubtful[message.peer, message.id] = self._journal.note([_line_of_chat(message)])
        self._journal.left_done()

    async def show_message(self, message: Message) -> None:
        """Print a chat. ``again``: it may have been printed before."""
        line = _line_of_chat(message)
        self._in_hand = self._doubtful.pop((message.peer, message.id), None)
        if self._in_hand is not None:
            line["again"] = True
        else:
            self._in_hand = self._journal.note([line])
        await self._show(line)

    async def apply(self, changes: Sequence[Change]) -> list[News]:
        told = [line for change in changes if (line := line_of(change))]
        number = self._journal.note(told) if told else None
        news = await super().apply(changes)
        if self._in_hand is not None and any(isinstance(change, Chat) for change in changes):
            self._journal.done(self._in_hand)
            self._in_hand = None
        for each in news:
            if line := line_of(each.change):
                await self._show(line | ({"ids": list(each.ids)} if "ids" in line else {}))
        if number is not None:
            self._journal.done(number)
        return news


def _line_of_chat(message: Message) -> Line:
    line: Line = {"event": "message", "from": message.peer, "id": message.id, "text": message.text}
    return line | {"timestamp": message.timestamp}


def line_of(change: Change) -> Line | None:
    """What ``listen`` prints of a change, but for chats."""
    match change:
        case OwnChat(message):
            line = {"event": "own", "to": message.peer, "id": message.id, "text": message.text}
            return line | {"timestamp": message.timestamp}
        case Receipt(peer, ids, state, timestamp):
            return {"event": "receipt", "to": peer, "ids": list(ids), "state": state, "timestamp": timestamp}
        case HasFailed(peer, id, error):
            return {"event": "failed", "to": peer, "id": id, "code": error.code, "message": error.message}
        case Read(peer, ids, "elsewhere"):
            return {"event": "ownRead", "from": peer, "ids": list(ids)}
    return None
