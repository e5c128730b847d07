"""What the client raises. No error holds a token, a password, a ticket or a text (C7)."""

from collections.abc import Mapping, Sequence
from typing import Any


class ClientError(Exception):
    """The base of all errors of this package."""


class ApiError(ClientError):
    """A refusal of the server, or no answer at all.

    :param status: the HTTP status; 0: there was no answer
    :param code: one of section 6 of the protocol, or ``unreachable``; decide by it, never by the sentence
    :param retry_after: seconds to wait
    :param errors: what is wrong with which field
    :param devices: of ``too_many_devices``, the devices of which one can be replaced
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        retry_after: float | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        devices: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after
        self.errors, self.devices = list(errors), list(devices)

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later. A success is none of the server's when it is no JSON."""
        return self.status < 400 or self.status in (408, 429) or self.status >= 500


class SendFailed(ClientError):
    """A message was not sent.

    :param code: the server's, or ``stopped`` (it is kept and goes out at the next start), ``no_answer``, ``discarded``
    :param id: the messageId; "" if it got none
    """

    def __init__(self, code: str, message: str, id: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.id = code, message, id


class Ended(ClientError):
    """The client does not try any more. ``code`` is a close code, or one of the server's, or the client's own."""

    def __init__(self, code: int | str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code, self.reason = code, reason


class Stopped(Ended):
    """The client will not connect by itself: ``connect_now()`` makes it try again."""


class LoggedOut(Ended):
    """The login session has ended: ``log_in(password)`` begins another one."""


class NotStarted(ClientError):
    """The client is not running: it was not started yet, or it was stopped."""

    def __init__(self) -> None:
        super().__init__("The client is not running. Call start() first, or use the client in `async with`.")


class StoreMismatch(ClientError):
    """The store belongs to another account, server or device, or a newer version of this package wrote it."""


class StoreError(ClientError):
    """The store cannot be read or written: the disk is full, the file is damaged. ``__cause__`` says what happened."""
