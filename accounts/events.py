"""Session events: log-ins are written at once, connections in bulk. Writing them never delays a chat."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

import msgspec
import structlog
from tortoise.connection import get_connection
from tortoise.exceptions import BaseORMException

from accounts.database import transaction
from accounts.merging import Event, Merger
from background.loops import Loop, forever
from protocol.errors import ApiError

__all__ = ["Event", "SessionEvents"]
logger = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 1.0
BATCH_SIZE: Final = 500
STOP_SECONDS: Final = 2.5
"""How long the last flush may take: a stopping server does not wait for a PostgreSQL that is away. More than the two
seconds after which asyncpg gives up a command by itself: a cancelled one takes two more."""

_INSERT: Final = """
INSERT INTO session_events (kind, mobile_no, user_id, session_id, device_id, reason, server_id, times, at)
SELECT kind, mobile, account_id, session_id, device_id, left(reason, 64), coalesce(nullif(server_id, ''), $2), times, at
FROM jsonb_to_recordset($1::jsonb) AS given(kind text, mobile text, account_id uuid, session_id uuid,
    device_id text, reason text, server_id text, times int, at timestamptz)
WHERE account_id IS NULL OR EXISTS (SELECT FROM users u WHERE u.id = account_id)
"""
"""Without the events of accounts that were deleted: nothing is kept about them. Not as models: when a thousand
connected at once, Tortoise's took an eighth of a server's time."""


class SessionEvents:
    """Writes events; keeps those that PostgreSQL does not accept now, up to a limit.

    A batch whose reply was lost is written again: an event may be stored twice, but is not lost. Repeated events of one
    device within a minute become one row (:mod:`accounts.merging`).

    :param buffer_size: events kept; beyond that the oldest are dropped, counted and logged
    """

    def __init__(self, buffer_size: int, server_id: str = "") -> None:
        self._buffer: deque[Event] = deque()
        self._size = buffer_size
        self._server_id = server_id
        self._merger = Merger(buffer_size)
        self._loop: Loop | None = None
        self._reported = 0
        self.dropped = 0
        """Events lost since the start, because PostgreSQL was away for too long."""

    def __len__(self) -> int:
        return len(self._buffer) + len(self._merger)

    def add(self, event: Event) -> None:
        """Keep it for the next flush, or longer when it is merged with others. Never waits, never raises."""
        now = self._merger.pass_on(event)
        if now is not None:
            self._keep(now)

    async def write(self, event: Event) -> None:
        """Write it now, unless it is merged with others. While PostgreSQL is away it is kept for the next flush."""
        now = self._merger.pass_on(event)
        if now is None:
            return
        try:
            async with transaction():
                await self._insert([now])
        except ApiError:
            self._keep(now)

    async def flush(self) -> None:
        """Write everything that is kept.

        :raises ApiError: ``unavailable``; what was not written is kept
        """
        self._keep(*self._merger.everything())
        await self._flush()

    def _keep(self, *events: Event) -> None:
        self._buffer.extend(events)
        self._drop_oldest()

    async def _flush(self) -> None:
        while self._buffer:
            batch = [self._buffer.popleft() for _ in range(min(BATCH_SIZE, len(self._buffer)))]
            try:
                await self._write(batch)
            except BaseException:
                self._buffer.extendleft(reversed(batch))
                self._drop_oldest()
                raise

    def start(self) -> None:
        """Flush every second from now on."""
        self._loop = forever("session events", self._flush_and_report, FLUSH_SECONDS)

    async def stop(self) -> None:
        """Flush a last time, for some seconds; what is left then is reported as lost."""
        until = asyncio.get_running_loop().time() + STOP_SECONDS
        if self._loop is not None:
            # A flush under way is let run_shielded: cut off, it would be written again.
            await self._loop.stop(STOP_SECONDS)
        self._keep(*self._merger.everything())
        with suppress(TimeoutError):  # what is left is logged
            async with asyncio.timeout_at(until):
                await self._try_flush()  # what came while the last one was under way
        if len(self):
            logger.warning("session events were lost at the end", count=len(self))

    async def _flush_and_report(self) -> None:
        self._keep(*self._merger.due())
        await self._try_flush()
        self._report()

    async def _try_flush(self) -> None:
        try:
            await self._flush()
        except ApiError:
            pass  # reported where it was made; the events are kept
        except Exception:
            logger.exception("session events could not be written")

    async def _write(self, batch: list[Event]) -> None:
        """Write a batch, one by one when it fails. An event that PostgreSQL never accepts, for example of a deleted
        account, must not keep back the others."""
        try:
            async with transaction():
                await self._insert(batch)
        except (BaseORMException, ValueError) as error:
            if len(batch) > 1:
                for event in batch:
                    await self._write([event])
            else:
                logger.warning("a session event was left out", kind=batch[0].kind, error=type(error).__name__)

    async def _insert(self, events: list[Event]) -> None:
        given = msgspec.json.encode([_storable(event) for event in events]).decode()
        await get_connection("default").execute_query(_INSERT, [given, self._server_id])

    def _drop_oldest(self) -> None:
        while len(self._buffer) > self._size:
            self._buffer.popleft()
            self.dropped += 1

    def _report(self) -> None:
        if self.dropped > self._reported:
            logger.warning("session events were dropped", count=self.dropped - self._reported)
            self._reported = self.dropped


def _storable(event: Event) -> Event:
    """The event without NUL, which PostgreSQL does not store: the reason of a close comes from the client."""
    if "\0" not in event.reason:
        return event
    return msgspec.structs.replace(event, reason=event.reason.replace("\0", ""))
