"""What a connection asks of those around it: the socket below, the identity it is given, the book of events."""

from collections.abc import Callable
from typing import Protocol

from protocol.refusals import Close


class Socket(Protocol):
    """See server/socket.py, where these words are explained."""

    @property
    def unsent(self) -> int: ...
    def send(self, text: bytes) -> None: ...
    def ping(self) -> int: ...
    def close(self, close: Close) -> None: ...
    async def drained(self) -> None: ...


class Identity(Protocol):
    """Who is at the other end, from his verified token."""

    @property
    def account_id(self) -> str: ...
    @property
    def mobile(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def device_id(self) -> str: ...
    @property
    def session_id(self) -> str: ...
    @property
    def expires_at(self) -> int: ...


Record = Callable[[str, Identity, str], None]
"""Notes a session event: "connect" or "disconnect", of whom, and why. Never waits, never fails."""
