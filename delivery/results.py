"""What Redis answers to messaging, as values: shared by the code that asks and the sessions that act on it."""

from typing import Final, Literal, NamedTuple

import msgspec

from delivery.policy import Side
from protocol.entries import Entry
from protocol.privacy import OPEN, Privacy

FetchMode = Literal["pending", "new", "again"]
"""``pending``: what an earlier connection of the device fetched and did not settle, from a cursor. ``new``: what no
connection of the device has fetched. ``again``: these entries once more."""
ClaimMode = Literal["first", "proven", "again"]
"""``first``: the connection is new. ``proven``: it is new, and its client gave a sign of life since the upgrade.
``again``: it found its lease gone."""
LeaseVerdict = Literal["ok", "gone", "replaced"]
"""Whether the lease names this connection, nobody, or another connection of the device."""
FIRST_ENTRY: Final = "0-0"
"""The cursor with which a scan begins, and which Redis returns when it has ended."""


class Fetched(msgspec.Struct, gc=False):
    """Entries for one connection.

    :param cursor: where a scan goes on; ``FIRST_ENTRY``: it has ended
    :param read: how many entries were read, with those that became shadow entries because their sender is blocked
    :param shared: whether other devices of the user have copies, as far as is known
    :param undecoded: streamIds of entries that our own code could not decode
    """

    verdict: LeaseVerdict
    cursor: str
    read: int
    entries: list[Entry]
    shared: bool = False
    undecoded: list[str] = []


class Claimed(msgspec.Struct, frozen=True):
    """A lease was given.

    :param epoch: of the mailbox; another one than before means that storage lost something
    :param before: ``(serverId, connectionId)`` of the connection that this one replaces
    :param newest: streamId of the newest entry that waits, or ""
    :param devices: how many devices the user has
    :param privacy: what the user hides
    """

    epoch: str
    before: tuple[str, str] | None
    newest: str
    devices: int = 1
    privacy: Privacy = OPEN


class Renewed(NamedTuple):
    """What became of a renewal; without more than the verdict, if the lease is not ours.

    :param newest: streamId of the newest entry that waits, or ""
    :param privacy: what the user hides
    :param devices: how many devices the user has
    """

    verdict: LeaseVerdict
    newest: str = ""
    privacy: Privacy = OPEN
    devices: int = 0


class Unread(NamedTuple):
    """Chats of one sender that are known and not marked read.

    :param unacknowledged: those of them that no device has acknowledged; looked up only for a user who hides something
    :param side: what decides what the sender is told
    :param stream_ids: of the chats, in the order of ``message_ids``
    """

    message_ids: list[str]
    unacknowledged: list[str] = []  # noqa: RUF012 - never changed
    side: Side = Side()
    stream_ids: list[str] = []  # noqa: RUF012 - never changed


class NotCached(Exception):
    """Redis does not hold this user: they must be loaded from PostgreSQL first."""


class Superseded(Exception):
    """A newer connection holds the device."""


class Unproven(Exception):
    """Another connection holds the device and lives; this one's client gave no sign of life yet."""


class Silent(Exception):
    """The client gave no sign of life for longer than a lease lasts: there is nothing to claim one from."""


class CommandFailed(Exception):
    """Redis answered this command with an error, and is well otherwise. It fails again if it is repeated, until
    somebody mends the key; what concerns another user does not fail. Already logged."""
