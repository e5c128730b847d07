"""Who may know what of whom. Every way out asks here: last seen, presence, typing, receipts.

Pure: facts of both sides come in, and what may be told comes out. What must be atomic with storing and fetching chats
(a blocked sender's) is decided in the scripts instead (docs/decisions/0032).
"""

from typing import Literal, NamedTuple

from protocol.privacy import OPEN, Audience, Privacy

ReceiptKind = Literal["delivered", "read"]


class Side(NamedTuple):
    """What one person decided about another.

    :param is_contact: the other is a contact of theirs: they wrote to the other
    :param frozen: None: they do not block the other. Else when they were last seen at the moment of the block, in unix
        ms; 0: never
    """

    privacy: Privacy = OPEN
    is_contact: bool = False
    frozen: int | None = None


HIDDEN = Side(Privacy("nobody", "nobody", read_receipts=False, stranger_receipts=False))
"""Of a number that nobody has."""


class Facts(NamedTuple):
    """Whether a person is online, and when they were last seen, in unix ms; 0: never."""

    online: bool = False
    last_seen: int = 0


class View(NamedTuple):
    """What an asker is told of a person.

    :param last_seen: unix ms; None: unknown, hidden, or they are online
    """

    online: bool = False
    last_seen: int | None = None


def see(asker: Side, person: Side, facts: Facts) -> View:
    """What an asker may see of a person. It is reciprocal: who hides something from somebody does not see it of them.

    A blocked asker sees what they would see if the person had gone offline at the moment of the block.
    """
    if person.frozen is not None:
        facts = Facts(online=False, last_seen=person.frozen)
    online = facts.online and _share_online(asker, person)
    if online or not facts.last_seen:
        return View(online)
    shared = _shares(asker, asker.privacy.last_seen) and _shares(person, person.privacy.last_seen)
    return View(online, facts.last_seen if shared else None)


def relays_typing(sender: Side, recipient: Side) -> bool:
    """Whether the recipient is told that the sender types: only if they may see the sender online."""
    return sender.frozen is None and recipient.frozen is None and _share_online(sender, recipient)


def told_receipt(reader: Side, kind: ReceiptKind) -> ReceiptKind | None:
    """What the sender of a chat is told when this reader received or read it; None: nothing."""
    if reader.frozen is not None:
        return None
    if not (reader.privacy.stranger_receipts or reader.is_contact):
        return None
    return "delivered" if kind == "read" and not reader.privacy.read_receipts else kind


def shown_receipt(own: Privacy, ack_type: str) -> str:
    """What a person with these settings gets of a receipt for them: who hides what they read does not see what others
    read."""
    return "delivered" if ack_type == "read" and not own.read_receipts else ack_type


def _share_online(one: Side, other: Side) -> bool:
    return _shares(one, one.privacy.online) and _shares(other, other.privacy.online)


def _shares(side: Side, audience: Audience) -> bool:
    return audience == "everyone" or (audience == "contacts" and side.is_contact)
