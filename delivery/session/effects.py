"""What a session wants to be done. The shell runs these values in the order in which they were emitted.

Each class says what the shell gives back through :meth:`delivery.session.session.Session.reply`: a result, or the
exception that stands for it (delivery/results.py). Where it says nothing, nothing comes back.
"""

from typing import Literal

import msgspec

from delivery.in_flight import ToSettle
from delivery.results import ClaimMode, FetchMode
from protocol.errors import ApiError
from protocol.errors import Close as CloseCode


class Effect(msgspec.Struct, gc=False, eq=False):
    """Something to be done outside of the session."""


class SendFrames(Effect):
    """Send encoded frames at once."""

    frames: list[bytes]


class SendEntries(Effect):
    """Send encoded frames as fast as the client reads: what it does not take yet waits in the shell.

    The shell says :meth:`~delivery.session.session.Session.pause_output` when some wait, and
    :meth:`~delivery.session.session.Session.resume_output` when none wait any more.
    """

    frames: list[bytes]


class SendHello(Effect):
    """Send the hello, as :class:`SendEntries`: the lease is claimed.

    :param epoch: of the mailbox
    """

    epoch: str


class StoreChats(Effect):
    """Store chats in the mailbox of ``to``, in this order, and notify the servers that hold their connections.

    Reply: a list with the streamId of each chat, or the ApiError that refuses it; NotCached; ApiError; CommandFailed.

    :param chats: (messageId, text)
    :param retried: whether the user was loaded for it
    """

    to: str
    chats: list[tuple[str, str]]
    retried: bool = False


class StoreOwn(Effect):
    """Store copies of chats for the other devices of this user, and notify the servers that hold their connections.

    Reply: whether there are other devices; NotCached; ApiError; CommandFailed.

    :param store: the effect that stored them for the recipient, and ``results`` its reply
    :param chats: (messageId, text, when it was stored in ms) of those that were stored
    :param retried: whether the user was loaded for it
    """

    store: StoreChats
    results: list[str | ApiError]
    chats: list[tuple[str, str, int]]
    retried: bool = False


class FetchEntries(Effect):
    """Fetch entries from the mailbox, if this connection still holds the lease, and settle others on the way.

    Reply: :class:`delivery.results.Fetched`; ApiError; CommandFailed.
    """

    mode: FetchMode
    count: int
    cursor: str
    ids: list[str]
    settled: list[ToSettle]
    notified: tuple[int, int] = (0, 0)
    """The newest entry this connection was notified of, when the fetch left."""


class SendReceipt(Effect):
    """Note in the own mailbox that these chats are delivered, then store a receipt in the sender's, and notify them.

    Reply: None; NotCached; ApiError; CommandFailed.

    :param ids: of what is done afterwards: for ``delivered`` the streamIds of the entries to settle, for ``read`` the
        messageIds of the chats to mark read
    :param kind: what the client said of the chats
    :param tells: what the sender is told; "": the same
    :param retried: whether the sender was loaded for it
    :param stream_ids: of the chats, in the order of ``message_ids``
    """

    sender: str
    kind: Literal["delivered", "read"]
    message_ids: list[str]
    ids: list[str]
    retried: bool = False
    tells: Literal["", "delivered", "read"] = ""
    stream_ids: list[str] = []


class NoteDelivered(Effect):
    """Note that a device of this user has the chats of a receipt.

    Reply: those messageIds of which the sender knows as much already, or more; ApiError; CommandFailed.

    :param state: ``a``: acknowledged, the receipt is about to be sent. ``d``: the sender was told more, and no other
        device's acknowledgement is told after it
    """

    state: Literal["a", "d"]
    receipt: SendReceipt


class FindSide(Effect):
    """What the sender of chats is to this user: whether they get receipts.

    Reply: :class:`delivery.policy.Side`; ApiError; CommandFailed.

    :param then: what is to be done if they do
    """

    sender: str
    then: "NoteDelivered | SendReceipt"


class FindUnread(Effect):
    """Which of this sender's chats are known here and not marked read.

    Reply: :class:`delivery.results.Unread`; ApiError; CommandFailed.
    """

    sender: str
    message_ids: list[str]


class MarkRead(Effect):
    """Mark chats read, settle those that still wait, and tell the other devices of this user.

    Reply: the streamIds of those that waited; ApiError; CommandFailed.
    """

    sender: str
    message_ids: list[str]


class Settle(Effect):
    """Settle entries whose senders know, and receipts. Settling twice is as good as once.

    Reply: None; ApiError; CommandFailed.
    """

    settled: list[ToSettle]


class Watch(Effect):
    """Watch the presence of these people.

    Reply: [(mobile number, :class:`delivery.policy.View`), ...]; ApiError; CommandFailed.
    """

    mobiles: list[str]


class Unwatch(Effect):
    """Watch these people no more."""

    mobiles: list[str]


class SendTyping(Effect):
    """Tell somebody's live connections that the user types to them, or has stopped."""

    to: str
    active: bool


class LoadUser(Effect):
    """Load a user from PostgreSQL into Redis.

    Reply: None; ApiError (``no_such_person``, ``rate_limited``, ``unavailable``).

    :param then: what is to be done again afterwards
    """

    mobile: str
    then: StoreChats | StoreOwn | SendReceipt


class ClaimLease(Effect):
    """Claim the lease of this device. The connection that held it is told.

    Reply: Claimed; Unproven, Superseded, Silent; ApiError.
    """

    mode: ClaimMode


class RenewLease(Effect):
    """Carry the lease on from the last sign of life.

    Reply: :class:`delivery.results.Renewed`; ApiError.
    """


class ReleaseLease(Effect):
    """Give the lease back, if it still names this connection.

    Reply: None, also when that failed: the lease then ends by itself.
    """


class LeaveHub(Effect):
    """The connection has ended: nothing more is emitted after it, but for a lease claimed too late."""


class Ping(Effect):
    """Send a WebSocket ping after all entries that were sent.

    Reply: its mark.
    """


class CloseSocket(Effect):
    """Close the socket."""

    close: CloseCode


class RecordEvent(Effect):
    """Note a session event.

    :param reason: of a ``disconnect``
    """

    kind: Literal["connect", "disconnect"]
    reason: str


class Penalize(Effect):
    """The user has to wait before they connect again.

    :param cause: ``violation``: the client sent too much or what it should not; ``replaced``: another connection of the
        device took this one's place
    """

    cause: Literal["violation", "replaced"]


class CountFailure(Effect):
    """Count a failure of our own code on this entry.

    Reply: how many there were; ApiError.
    """

    stream_id: str


class ResumeReading(Effect):
    """There may be room for more messages of the client."""
