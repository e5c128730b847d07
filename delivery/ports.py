"""What a connection asks of those around it: the identity it is given, the book of events."""

from collections.abc import Callable
from typing import Protocol


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
