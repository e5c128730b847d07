"""What is stored is read by name."""

import pytest

from protocol.entries import Chat, OwnChat, OwnRead, Receipt
from protocol.stored_entries import (
    CHAT,
    LAYOUTS,
    OWN_CHAT,
    OWN_READ,
    RECEIPT,
    Layout,
    Shadow,
    decode_entry,
    decode_shadow,
)

SENDER = "919800000001"


def stored(layout: Layout, **values: str) -> list[bytes]:
    """As Redis gives an entry of this layout."""
    named = {"kind": layout.kind, **values} if layout.kind else values
    return [word.encode() for name, letter in layout.fields.items() for word in (letter, named[name])]


def test_a_chat_is_read_by_name() -> None:
    values = stored(CHAT, sender=SENDER, message_id="m1", message="héllo")
    assert decode_entry(b"5-1", values) == Chat("5-1", SENDER, "m1", "héllo")


def test_a_receipt_is_read_by_name() -> None:
    values = stored(RECEIPT, sender=SENDER, ack_type="read", message_ids="m1 m2")
    assert decode_entry(b"5-1", values) == Receipt("5-1", SENDER, "read", ["m1", "m2"])


def test_what_another_device_did_is_read_by_name() -> None:
    sent = stored(OWN_CHAT, to=SENDER, message_id="m1", message="héllo", sent_at="4", device="phone")
    assert decode_entry(b"5-1", sent) == OwnChat("5-1", SENDER, "m1", "héllo", 4, "phone")
    read = stored(OWN_READ, sender=SENDER, message_ids="m1 m2", device="phone")
    assert decode_entry(b"5-2", read) == OwnRead("5-2", SENDER, ["m1", "m2"], "phone")


def test_an_entry_of_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="5-1"):
        decode_entry(b"5-1", [b"k", b"x", b"f", b"1", b"i", b"m1"])


def test_a_shadow_carries_the_chats_place_or_is_it() -> None:
    of_its_own = [b"f", SENDER.encode(), b"i", b"m1", b"b", b"12"]
    assert decode_shadow(b"5-1", of_its_own) == Shadow("5-1", "5-1", SENDER, "m1", 12)
    assert decode_shadow(b"5-1", [*of_its_own, b"t", b"4-0"]) == Shadow("5-1", "4-0", SENDER, "m1", 12)


def test_a_shadow_without_a_sender_is_an_error() -> None:
    with pytest.raises(ValueError, match="5-1"):
        decode_shadow(b"5-1", [b"i", b"m1", b"b", b"12"])


def test_what_older_versions_stored_is_laid_out_the_same() -> None:
    """Entries wait through a deployment: neither letters nor order may change."""
    letters = {layout.name: "".join(layout.fields.values()) for layout in LAYOUTS}
    assert letters == {
        "chat": "kfim",
        "receipt": "kfai",
        "own_chat": "ktimsd",
        "own_read": "kfid",
        "shadow": "fib",
        "shadow_of_chat": "fibt",
    }
    in_mailboxes = [layout for layout in LAYOUTS if layout.kind]
    assert [layout.kind for layout in in_mailboxes] == ["c", "r", "o", "w"]
    assert {layout.index("kind") for layout in in_mailboxes} == {1}, "the kind is read before the layout is known"
