"""What is through and can leave the mailbox: it goes along with the next read of it, or soon by itself."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from delivery.connection.sends import Desk
from delivery.in_flight import Flights, Landed
from delivery.messenger import Messenger
from delivery.presence import Holder
from delivery.redis.failures import CommandFailed
from protocol.errors import ApiError

logger = structlog.get_logger(__name__)
SETTLE_SECONDS: Final = 0.05
"""Settling waits so long for a read to go along with. A crash meanwhile shows an acked chat again, under the same
streamId."""
RETRY_SECONDS: Final = 0.5
MOST: Final = 500
"""Entries in one script: what a script does, all others wait for."""


class Settles:
    """Settling twice is as good as once: what may have failed is tried again."""

    __slots__ = ("_desk", "_done", "_flights", "_holder", "_messenger", "_timer")

    def __init__(self, desk: Desk, holder: Holder, messenger: Messenger, flights: Flights) -> None:
        self._desk = desk
        self._holder = holder
        self._messenger = messenger
        self._flights = flights
        self._done: list[Landed] = []
        self._timer: asyncio.TimerHandle | None = None

    def put(self, landed: Sequence[Landed]) -> None:
        """The senders of these chats know, or these are receipts."""
        self._done += landed
        self._settle_in(SETTLE_SECONDS)

    def take(self) -> list[Landed]:
        """Some that the caller settles; he says afterwards that they are :meth:`gone`, or :meth:`put` s them back."""
        taken, self._done = self._done[:MOST], self._done[MOST:]
        return taken

    def put_back(self, taken: list[Landed]) -> None:
        """They could not be settled, or that is not known."""
        if taken:
            self._done = taken + self._done
            self._settle_in(RETRY_SECONDS)

    def gone(self, taken: Sequence[Landed]) -> None:
        """They are settled."""
        self._flights.forget(landed.stream_id for landed in taken)

    async def finish(self) -> None:
        """Return when what waited to be settled is, or could not be.

        A settling that is under way already ends by itself.
        """
        if self._timer is not None:
            self._timer.cancel()
        await self._settle(last=True)

    def _settle_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._done:
            self._desk.spawn(self._settle())

    async def _settle(self, *, last: bool = False) -> None:
        while taken := self.take():
            try:
                await self._messenger.settle(self._holder, taken)
            except (ApiError, CommandFailed):
                logger.warning("acked entries could not be settled", entries=len(taken), again=not last)
                if not last:
                    self.put_back(taken)
                return
            self.gone(taken)
