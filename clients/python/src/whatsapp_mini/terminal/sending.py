"""``whatsapp-mini send``: messages from the command line or from standard input, a line of JSON for each."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from whatsapp_mini import Client, SendFailed
from whatsapp_mini.terminal.accounts import Account, AccountBusyError
from whatsapp_mini.terminal.output import Output
from whatsapp_mini.terminal.passing import Passed

SENT, REFUSED, NOT_LOGGED_IN, NO_ANSWER = 0, 1, 3, 4
"""Exit codes; 2 is a wrong command line."""
AHEAD: Final = 64
"""So many lines of standard input are read before the first of them has its answer."""
_TRIES: Final = 100
_BETWEEN_TRIES_SECONDS: Final = 0.1

Answer = dict[str, Any]
SendOne = Callable[[str, str, str], Awaitable[Answer]]
Started = Callable[[Account], Awaitable[Client]]


async def send_all(account: Account, start: Started, to: str, texts: AsyncIterator[str], seconds: float) -> int:
    """Send them in their order, print the answers in that order, and give the exit code.

    :param start: makes a client that does not take what comes, and waits until it is online
    :param seconds: for each message; one that has no answer by then is kept and goes out at the next start
    :raises AccountBusyError: the process that has the account open takes no messages
    """
    output = await Output.open()
    code = SENT
    async with AsyncExitStack() as stack:
        sender = _Sender(account, start, stack)
        await sender.begin()
        waiting: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue(AHEAD)

        async def read() -> None:
            async for text in texts:
                await waiting.put(asyncio.create_task(sender.send(to, text, seconds)))
            await waiting.put(None)

        reading = asyncio.create_task(read())
        while (task := await waiting.get()) is not None:
            answer = await task
            await output.line(answer)
            code = max(code, {"sent": SENT, "failed": REFUSED, "waiting": NO_ANSWER}[answer["event"]])
        await reading
    return code


class _Sender:
    """Sends with a client of its own, or through the process that has the account open."""

    def __init__(self, account: Account, start: Started, stack: AsyncExitStack) -> None:
        self._account, self._start, self._stack = account, start, stack
        self._turn = asyncio.Lock()
        self._way: Client | Passed | None = None

    async def begin(self) -> None:
        """Find a way before any message is accepted: without one, none is kept to go out later as a surprise."""
        await self._find_way()

    async def send(self, to: str, text: str, seconds: float) -> Answer:
        """What is printed of it. It keeps its id on every way, so it is there once."""
        message_id = secrets.token_urlsafe(16)
        try:
            async with asyncio.timeout(seconds):
                return await self._send(to, text, message_id)
        except TimeoutError:
            return {"event": "waiting", "id": message_id, "to": to}

    async def _send(self, to: str, text: str, message_id: str) -> Answer:
        while True:
            async with self._turn:
                way = self._way or await self._find_way()
            try:
                if isinstance(way, Passed):
                    return await way.send(to, text, message_id)
                return await answer(way, to, text, message_id)
            except ConnectionError:
                self._way = None

    async def _find_way(self) -> Client | Passed:
        for _ in range(_TRIES):
            try:
                self._stack.enter_context(self._account.opened())
            except AccountBusyError:
                pass
            else:
                self._way = await self._start(self._account)
                self._stack.push_async_callback(self._way.stop, 0)
                return self._way
            try:
                self._way = await Passed.to(self._account.socket)
            except OSError:
                await asyncio.sleep(_BETWEEN_TRIES_SECONDS)  # it is just starting, or ending
            else:
                self._stack.push_async_callback(self._way.close)
                return self._way
        raise AccountBusyError(f"{self._account.mobile} is in use by a process that takes no messages.")


async def answer(client: Client, to: str, text: str, message_id: str) -> Answer:
    """Send a message, and say what became of it as a line."""
    try:
        sent = await client.send(to, text, message_id=message_id)
    except SendFailed as failed:
        event = "waiting" if failed.code == "stopped" else "failed"
        return {"event": event, "id": message_id, "to": to, "code": failed.code, "message": failed.message}
    return {"event": "sent", "id": message_id, "to": to, "timestamp": sent.timestamp}
