"""Receipts to a client that does not ack them (seed dialect): a pong says that they have arrived."""

import asyncio
from collections.abc import Sequence
from typing import Final

from delivery.connection.acks import Acks
from protocol.websocket.interface import Socket

PING_SECONDS: Final = 0.05
"""Such pings are at least so far apart: to settle a receipt later costs nothing, and each ping wakes the client."""
MANY: Final = 64
"""So many receipts end the wait: unsettled they take room in the window, which chats need."""


class Confirmations:
    """Receipts are settled when a pong answers a ping sent after them; one such ping at a time."""

    __slots__ = ("_acks", "_next", "_pinged", "_socket", "_timer", "_unpinged")

    def __init__(self, socket: Socket, acks: Acks) -> None:
        self._socket = socket
        self._acks = acks
        self._unpinged: list[str] = []
        self._pinged: tuple[int, list[str]] | None = None
        self._next = 0.0
        """Loop time before which no ping is sent, unless there are many receipts."""
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, receipts: Sequence[str]) -> None:
        """These were sent."""
        if receipts:
            self._unpinged += receipts
            self._ping_when_due()

    def ponged(self, mark: int) -> None:
        """The pong for the ping ``mark``, and with it every earlier one."""
        if self._pinged is not None and mark >= self._pinged[0]:
            receipts, self._pinged = self._pinged[1], None
            self._acks.delivered(receipts)
            self._ping_when_due()

    def stop(self) -> None:
        """The connection ended: nothing is asked any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ping_when_due(self) -> None:
        if self._pinged is not None or not self._unpinged:
            return
        loop = asyncio.get_running_loop()
        if len(self._unpinged) >= MANY or self._next <= loop.time():
            self._ping()
        elif self._timer is None:
            self._timer = loop.call_at(self._next, self._ping)

    def _ping(self) -> None:
        self.stop()
        if self._pinged is None:
            self._next = asyncio.get_running_loop().time() + PING_SECONDS
            self._pinged, self._unpinged = (self._socket.ping(), self._unpinged), []
