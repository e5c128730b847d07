"""What waits in a mailbox: chats and receipts. ``stream_id`` is Redis' ``<ms>-<seq>``; its ms is the time we state."""

import msgspec

from protocol.identifiers import parse_stream_id


def size_of(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What chats and receipts have in common.

    :param stream_id: place in the mailbox, ``"<ms>-<seq>"``
    :param sender: mobile of who sent the chat, or who received or read it (or let it expire)
    """

    stream_id: str
    sender: str

    @property
    def place(self) -> tuple[int, int]:
        """The streamId as numbers, which compare as places do."""
        return parse_stream_id(self.stream_id)

    @property
    def timestamp(self) -> int:
        """When it was stored, in ms."""
        return int(self.stream_id.partition("-")[0])


class Chat(Entry, frozen=True, gc=False):
    """One text from one person to another."""

    message_id: str
    message: str

    @property
    def size(self) -> int:
        """Bytes of its text in UTF-8."""
        return size_of(self.message)


class Receipt(Entry, frozen=True):
    """What became of chats: ``delivered``, ``read`` or ``expired``."""

    ack_type: str
    message_ids: list[str]
