"""``whatsapp-mini send``: messages from the command line or from standard input, a line of JSON for each."""

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from whatsapp_mini import Client, Message, SendFailed, StoreError
from whatsapp_mini.messages import MAX_FRAME_BYTES, well_formed
from whatsapp_mini.terminal.accounts import Account, AccountBusyError
from whatsapp_mini.terminal.output import Output
from whatsapp_mini.terminal.passing import Passed

SENT, REFUSED, NOT_LOGGED_IN, NO_ANSWER = 0, 1, 3, 4
"""Exit codes; 2 is a wrong command line."""
CANNOT_GO_ON = REFUSED
READER_GONE = 128 + signal.SIGPIPE
"""As of other programs at the left of a pipe that is closed."""
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
    :raises OutputClosedError: nobody reads the answers, or they cannot be written
    """
    output = await Output.open()
    async with AsyncExitStack() as stack:
        sender = _Sender(account, start, stack)
        await sender.begin()
        waiting: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue(AHEAD)
        sending: set[asyncio.Task[Answer]] = set()

        async def read() -> None:
            async for text in texts:
                task = asyncio.create_task(sender.send(to, text, seconds))
                sending.add(task)
                await waiting.put(task)
            await waiting.put(None)

        reading = asyncio.create_task(read())
        try:
            return await _print_answers(waiting, sending, output)
        finally:
            left = [reading, *sending]
            for each in left:
                each.cancel()
            await asyncio.gather(*left, return_exceptions=True)


async def _print_answers(
    waiting: "asyncio.Queue[asyncio.Task[Answer] | None]", sending: "set[asyncio.Task[Answer]]", output: Output
) -> int:
    code = SENT
    while (task := await waiting.get()) is not None:
        said = await task
        sending.discard(task)
        await output.line(said)
        code = max(code, {"sent": SENT, "failed": REFUSED, "waiting": NO_ANSWER}[said["event"]])
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
            return await self._keep(to, text, message_id)

    async def _send(self, to: str, text: str, message_id: str) -> Answer:
        if (size := len(well_formed(text).encode())) > MAX_FRAME_BYTES:  # nobody need be asked, or could be
            return failed(message_id, to, "message_too_large", f"The message has {size} bytes.")
        while True:
            async with self._turn:
                way = self._way or await self._find_way()
            try:
                if isinstance(way, Passed):
                    return await way.send(to, text, message_id)
                return await answer(way, to, text, message_id)
            except ConnectionError:
                self._way = None

    async def _keep(self, to: str, text: str, message_id: str) -> Answer:
        """Have it in the account's file, whether the process that it was given to has got so far or not."""
        if not isinstance(self._way, Client):  # one's own keeps it before all else
            store = self._account.store()
            try:
                await store.add(
                    [Message(message_id, to, True, well_formed(text), round(time.time() * 1000), "waiting")]
                )
            except StoreError as error:
                return failed(message_id, to, "store_failed", str(error))
            finally:
                await store.close()
        return {"event": "waiting", "id": message_id, "to": to}

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
    """Send a message, and say what became of it as a line.

    :raises NotStarted: the client was stopped, and the message is not kept
    """
    try:
        sent = await client.send(to, text, message_id=message_id)
    except SendFailed as refused:
        event = "waiting" if refused.code == "stopped" else "failed"
        return failed(message_id, to, refused.code, refused.message) | {"event": event}
    except StoreError as error:
        return failed(message_id, to, "store_failed", str(error))
    return {"event": "sent", "id": message_id, "to": to, "timestamp": sent.timestamp}


def failed(message_id: str, to: str, code: str, message: str) -> Answer:
    """The line of a message that was refused."""
    return {"event": "failed", "id": message_id, "to": to, "code": code, "message": message}
