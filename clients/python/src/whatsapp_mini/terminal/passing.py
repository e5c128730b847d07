"""How ``send`` gives a message to the process that has the account open: a line of JSON each way on a Unix socket.

It is in a folder that only its owner can enter.

A device has one connection, so a second process cannot just connect: it would throw the first one out (4508).
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from whatsapp_mini import NotStarted

Send = Callable[[str, str, str], Awaitable[dict[str, Any]]]
"""Number, text and messageId; the answer is what ``send`` prints."""
LONGEST_LINE = 1024 * 1024


@asynccontextmanager
async def taking(path: Path, send: Send) -> AsyncIterator[None]:
    """Take messages from others while this is open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            async with asyncio.TaskGroup() as answers:
                while line := await reader.readline():
                    wanted = json.loads(line)
                    answers.create_task(_answer(send(wanted["to"], wanted["text"], wanted["id"]), writer))

    _remove(path)  # of a process that was killed; the account's lock says that it is gone
    server = await asyncio.start_unix_server(serve, path, limit=LONGEST_LINE)
    try:
        yield
    finally:
        server.close()
        _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _answer(answer: Awaitable[dict[str, Any]], writer: asyncio.StreamWriter) -> None:
    try:
        said = await answer
    except NotStarted:  # it is ending: who asked finds another way
        writer.close()
        return
    with contextlib.suppress(ConnectionError):
        writer.write(json.dumps(said).encode() + b"\n")
        await writer.drain()


class Passed:
    """Messages that another process sends for us. Answers are told apart by ``id``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def to(cls, path: Path) -> "Passed":
        """Reach the process.

        :raises OSError: it is not there
        """
        return cls(*await asyncio.open_unix_connection(path, limit=LONGEST_LINE))

    async def send(self, to: str, text: str, message_id: str) -> dict[str, Any]:
        """The answer.

        :raises ConnectionError: the process ended first; the same message may be sent again, with the same id
        """
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        if self._reading.done():
            raise ConnectionResetError("The other process has ended.")
        self._waiting[message_id] = answer
        self._writer.write(json.dumps({"to": to, "text": text, "id": message_id}).encode() + b"\n")
        try:
            return await answer
        finally:
            self._waiting.pop(message_id, None)

    async def close(self) -> None:
        """Nothing more is to be sent."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        await self._reading

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await self._reader.readline():
                answer = json.loads(line)
                waiting = self._waiting.get(answer["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("The other process has ended."))
