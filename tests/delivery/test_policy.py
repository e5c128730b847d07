"""Who may know what of whom, over all combinations."""

import itertools

import pytest

from delivery.policy import HIDDEN, Facts, Side, View, relays_typing, see, shown_receipt, told_receipt
from protocol.privacy import Audience, Privacy

AUDIENCES: tuple[Audience, ...] = ("everyone", "contacts", "nobody")
BLOCKED_AT = 2_000
FACTS = [Facts(online, seen) for online in (False, True) for seen in (0, 1_000, 3_000)]


def sides(*frozen: int | None) -> list[Side]:
    """Every way to stand to somebody, with these blocks."""
    privacies = [Privacy(*each) for each in itertools.product(AUDIENCES, AUDIENCES, (True, False), (True, False))]
    return [Side(*each) for each in itertools.product(privacies, (True, False), frozen)]


def shares(side: Side, audience: Audience) -> bool:
    """Said anew."""
    return {"everyone": True, "contacts": side.is_contact, "nobody": False}[audience]


ALL = sides(None, 0, BLOCKED_AT)
VISIBLE = [side._replace(privacy=Privacy(*each)) for side in (Side(), Side(is_contact=True)) for each in
           itertools.product(AUDIENCES, AUDIENCES)]  # fmt: skip


def test_blocked_is_gone_offline_at_the_moment_of_the_block() -> None:
    """Whatever the person does after it."""
    for asker, person, facts in itertools.product(VISIBLE, sides(BLOCKED_AT), FACTS):
        offline = see(asker, person._replace(frozen=None), Facts(online=False, last_seen=BLOCKED_AT))
        assert see(asker, person, facts) == offline
    for asker, person, facts in itertools.product(VISIBLE, sides(0), FACTS):
        assert see(asker, person, facts) == View(), "they were never seen before it"


def test_nobody_sees_what_is_not_shared_in_both_directions() -> None:
    for asker, person, facts in itertools.product(VISIBLE, ALL, FACTS):
        view = see(asker, person, facts)
        if view.online:
            assert facts.online
            assert person.frozen is None
            assert shares(person, person.privacy.online)
            assert shares(asker, asker.privacy.online)
            assert view.last_seen is None
        if view.last_seen is not None:
            assert shares(person, person.privacy.last_seen)
            assert shares(asker, asker.privacy.last_seen)
            assert view.last_seen == (facts.last_seen if person.frozen is None else person.frozen)


def test_what_both_share_is_seen() -> None:
    for asker, person, facts in itertools.product(VISIBLE, sides(None), FACTS):
        view = see(asker, person, facts)
        if facts.online and shares(person, person.privacy.online) and shares(asker, asker.privacy.online):
            assert view == View(online=True)
        elif shares(person, person.privacy.last_seen) and shares(asker, asker.privacy.last_seen):
            assert view == View(last_seen=facts.last_seen or None)
        else:
            assert view == View()


def test_two_people_see_as_much_of_each_other() -> None:
    for one, other in itertools.product(sides(None), repeat=2):
        assert see(one, other, Facts(online=True)).online == see(other, one, Facts(online=True)).online
        seen = [bool(see(*pair, Facts(last_seen=5)).last_seen) for pair in ((one, other), (other, one))]
        assert seen[0] == seen[1]


def test_who_blocks_goes_on_seeing_what_was_not_hidden_from_them() -> None:
    assert see(Side(frozen=BLOCKED_AT), Side(), Facts(online=True)) == View(online=True)


def test_a_number_nobody_has_looks_like_a_person_who_hides_everything() -> None:
    for asker, facts in itertools.product(ALL, FACTS):
        assert see(asker, HIDDEN, facts) == View()
        assert told_receipt(HIDDEN, "read") is None


def test_typing_is_told_to_those_alone_who_may_see_the_sender_online() -> None:
    for sender, recipient in itertools.product(ALL, VISIBLE):
        assert relays_typing(sender, recipient) == see(recipient, sender, Facts(online=True)).online
        blocker = recipient._replace(frozen=BLOCKED_AT)
        assert not relays_typing(sender, blocker)


def test_receipts_are_told_as_far_as_the_reader_wants() -> None:
    for reader in ALL:
        told = told_receipt(reader, "delivered"), told_receipt(reader, "read")
        stranger = not (reader.is_contact or reader.privacy.stranger_receipts)
        if reader.frozen is not None or stranger:
            assert told == (None, None)
        else:
            assert told == ("delivered", "read" if reader.privacy.read_receipts else "delivered")


@pytest.mark.parametrize("kind", ["delivered", "read", "expired"])
def test_who_hides_what_they_read_does_not_see_what_others_read(kind: str) -> None:
    assert shown_receipt(Privacy(), kind) == kind
    assert shown_receipt(Privacy(read_receipts=False), kind) == ("delivered" if kind == "read" else kind)
