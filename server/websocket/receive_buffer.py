"""Whole messages that wait until the handler has room."""

from typing import Final

WAITING_MESSAGES: Final = 32
WAITING_BYTES: Final = 2**16


class ReceiveBuffer:
    """A few messages, read ahead of a handler without room so that pongs do not queue behind them."""

    __slots__ = ("_bytes", "is_full", "messages")

    def __init__(self) -> None:
        self._bytes = 0
        self.messages: list[str | bytes] = []
        """Oldest first."""
        self.is_full = False
        """Whether no frame should be read for now, since it may bring one more."""

    def put(self, message: str | bytes) -> None:
        """Keep a message, also when that is one too many: it has been read already."""
        self.messages.append(message)
        self._bytes += len(message)
        self._measure()

    def pop(self) -> str | bytes:
        """The oldest message.

        :raises IndexError: there is none
        """
        message = self.messages.pop(0)
        self._bytes -= len(message)
        self._measure()
        return message

    def take_all(self) -> list[str | bytes]:
        """All messages; none is left."""
        messages, self.messages = self.messages, []
        self._bytes, self.is_full = 0, False
        return messages

    def _measure(self) -> None:
        self.is_full = len(self.messages) >= WAITING_MESSAGES or self._bytes >= WAITING_BYTES
