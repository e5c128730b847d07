"""Receipts to a client that does not ack them (seed dialect): a pong says that they have arrived."""

from collections.abc import Sequence

from delivery.connection.acks import Acks
from delivery.ports import Socket


class Confirmations:
    """Receipts are settled when a pong answers a ping sent after them; one such ping at a time."""

    __slots__ = ("_acks", "_pinged", "_socket", "_unpinged")

    def __init__(self, socket: Socket, acks: Acks) -> None:
        self._socket = socket
        self._acks = acks
        self._unpinged: list[str] = []
        self._pinged: tuple[int, list[str]] | None = None

    def expect(self, receipts: Sequence[str]) -> None:
        """These were sent."""
        self._unpinged += receipts
        if self._pinged is None and self._unpinged:
            self._pinged = (self._socket.ping(), self._unpinged)
            self._unpinged = []

    def ponged(self, mark: int) -> None:
        """The pong for the ping ``mark``, and with it every earlier one."""
        if self._pinged is not None and mark >= self._pinged[0]:
            self._acks.delivered(self._pinged[1])
            self._pinged = None
            self.expect([])
