"""How entries are stored: the fields of a Redis stream entry, by name, in the order in which the scripts write them.

This is the only place that spells them. Python decodes by these names, and ``delivery/scripts.py`` generates from them
what the Lua scripts use. In Redis a field's name is one letter, because every waiting chat repeats it.

Mailboxes outlive a deployment, so the letters and the order of a layout never change; a new field goes to the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from protocol.entries import Chat, OwnChat, OwnRead, Receipt


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of one sort of entry.

    :param name: what the sort is called
    :param fields: the name used in code -> the letter in Redis, in the order of writing
    :param kind: the value of the field ``kind``; "" for a sort that has a stream of its own and needs none
    """

    name: str
    fields: dict[str, str]
    kind: str = ""

    def index(self, field: str) -> int:
        """Where the value of this field stands, from 0, in the flat list that Redis gives: letter, value, letter …

        :raises ValueError: there is no such field
        """
        return 2 * list(self.fields).index(field) + 1


CHAT: Final = Layout("chat", {"kind": "k", "sender": "f", "message_id": "i", "message": "m"}, kind="c")
"""In a mailbox: a text."""

RECEIPT: Final = Layout("receipt", {"kind": "k", "sender": "f", "ack_type": "a", "message_ids": "i"}, kind="r")
"""In a mailbox: what became of chats. ``sender`` is the person who received, read or let expire; ``message_ids`` are
joined by a space."""

OWN_CHAT: Final = Layout(
    "own_chat",
    {"kind": "k", "to": "t", "message_id": "i", "message": "m", "sent_at": "s", "device": "d"},
    kind="o",
)
"""In the sender's own mailbox: a chat that one of their devices sent. ``sent_at`` is in ms."""

OWN_READ: Final = Layout("own_read", {"kind": "k", "sender": "f", "message_ids": "i", "device": "d"}, kind="w")
"""In the reader's own mailbox: what was read on one of their devices. ``message_ids`` are joined by a space."""

SHADOW: Final = Layout("shadow", {"sender": "f", "message_id": "i", "bytes": "b"})
"""In the stream of shadow entries: a chat that a blocked sender believes to wait. ``bytes``: of its text."""

SHADOW_OF_CHAT: Final = Layout("shadow_of_chat", {**SHADOW.fields, "chat_id": "t"})
"""The same of a chat that waited in the mailbox before, as the streamId ``chat_id``."""

LAYOUTS: Final = (CHAT, RECEIPT, OWN_CHAT, OWN_READ, SHADOW, SHADOW_OF_CHAT)

_KIND: Final = CHAT.index("kind")
_CHAT, _RECEIPT = CHAT.kind.encode(), RECEIPT.kind.encode()
_CHAT_SENDER, _CHAT_MESSAGE_ID, _CHAT_MESSAGE = map(CHAT.index, ("sender", "message_id", "message"))
_RECEIPT_SENDER, _ACK_TYPE, _MESSAGE_IDS = map(RECEIPT.index, ("sender", "ack_type", "message_ids"))


def decode_entry(stream_id: bytes, values: Sequence[bytes]) -> Chat | Receipt | OwnChat | OwnRead:
    """An entry of a mailbox, from the flat list of its fields and values.

    :raises ValueError: it is none of these
    """
    if values[_KIND] == _CHAT:
        return Chat(
            stream_id.decode(),
            values[_CHAT_SENDER].decode(),
            values[_CHAT_MESSAGE_ID].decode(),
            values[_CHAT_MESSAGE].decode(),
        )
    if values[_KIND] == _RECEIPT:
        return Receipt(
            stream_id.decode(),
            values[_RECEIPT_SENDER].decode(),
            values[_ACK_TYPE].decode(),
            values[_MESSAGE_IDS].decode().split(" "),
        )
    return _decode_own(stream_id.decode(), [value.decode() for value in values[1::2]])


def _decode_own(stream_id: str, values: Sequence[str]) -> OwnChat | OwnRead:
    kind, other, message_ids, *rest = values
    if kind == OWN_CHAT.kind:
        message, sent_at, device = rest
        return OwnChat(stream_id, other, message_ids, message, int(sent_at), device)
    if kind == OWN_READ.kind:
        (device,) = rest
        return OwnRead(stream_id, other, message_ids.split(" "), device)
    raise ValueError(f"the entry {stream_id} is of an unknown kind")


class Shadow(NamedTuple):
    """A shadow entry.

    :param shadow_id: its own streamId
    :param chat_id: the streamId that the sender of the chat was told; its milliseconds are the chat's time
    :param size: bytes of the chat's text in UTF-8
    """

    shadow_id: str
    chat_id: str
    sender: str
    message_id: str
    size: int


def decode_shadow(stream_id: bytes, values: Sequence[bytes]) -> Shadow:
    """A shadow entry, from the flat list of its fields and values."""
    by_letter = dict(zip(values[::2], values[1::2], strict=True))
    found = {name: by_letter.get(letter.encode()) for name, letter in SHADOW_OF_CHAT.fields.items()}
    sender, message_id, size, chat_id = (found[name] for name in ("sender", "message_id", "bytes", "chat_id"))
    if sender is None or message_id is None or size is None:
        raise ValueError(f"the shadow entry {stream_id.decode()} lacks a field")
    return Shadow(stream_id.decode(), (chat_id or stream_id).decode(), sender.decode(), message_id.decode(), int(size))
