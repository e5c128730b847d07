"""What waits in a mailbox: chats and receipts; and what another device of the same person did, for this one.

``stream_id`` is Redis' ``<ms>-<seq>``; its ms is the time we state.
"""

import msgspec

from protocol.identifiers import parse_stream_id


def size_of(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What all entries have in common.

    :param stream_id: place in the mailbox, ``"<ms>-<seq>"``
    """

    stream_id: str

    @property
    def place(self) -> tuple[int, int]:
        """The streamId as numbers, which compare as places do."""
        return parse_stream_id(self.stream_id)

    @property
    def timestamp(self) -> int:
        """When it was stored, in ms."""
        return int(self.stream_id.partition("-")[0])


class Chat(Entry, frozen=True, gc=False):
    """One text from one person to another.

    :param sender: mobile of who sent it
    """

    sender: str
    message_id: str
    message: str

    @property
    def size(self) -> int:
        """Bytes of its text in UTF-8."""
        return size_of(self.message)


class Receipt(Entry, frozen=True):
    """What became of chats: ``delivered``, ``read`` or ``expired``.

    :param sender: mobile of who received or read them, or let them expire
    """

    sender: str
    ack_type: str
    message_ids: list[str]


class OwnChat(Entry, frozen=True, gc=False):
    """A chat that this person sent, for those of their devices that did not send it.

    :param to: mobile of the recipient
    :param sent_at: when it was stored for the recipient, in ms: what the device that sent it was told
    :param device: deviceId of the device that sent it
    """

    to: str
    message_id: str
    message: str
    sent_at: int
    device: str

    @property
    def size(self) -> int:
        """Bytes of its text in UTF-8."""
        return size_of(self.message)


class OwnRead(Entry, frozen=True):
    """Chats that this person read, for those of their devices on which they did not.

    :param sender: mobile of who sent the chats
    :param device: deviceId of the device on which they were read
    """

    sender: str
    message_ids: list[str]
    device: str
