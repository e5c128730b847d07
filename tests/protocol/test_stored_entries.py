"""What is stored is read by name."""

import pytest

from protocol.entries import Chat, Receipt
from protocol.stored_entries import CHAT, LAYOUTS, RECEIPT, Layout, Shadow, decode_entry, decode_shadow

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
    assert letters == {"chat": "kfim", "receipt": "kfai", "shadow": "fib", "shadow_of_chat": "fibt"}
    assert (CHAT.kind, RECEIPT.kind) == ("c", "r")
    assert CHAT.index("kind") == RECEIPT.index("kind"), "the kind is read before the layout is known"
