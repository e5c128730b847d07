"""What a person hides, and what is passed on of it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from accounts.blocks import Blocks
from accounts.directory import Directory
from accounts.passwords import Passwords
from accounts.privacy import PrivacySettings
from models import User
from protocol.errors import ApiError
from protocol.privacy import OPEN, Privacy
from tests.support.api import Notes

A, B = "919800000001", "919800000002"


@pytest.fixture
async def notes(enrol: Callable[[str], Awaitable[User]]) -> Notes:
    await enrol(A)
    await enrol(B)
    return Notes()


async def test_a_change_keeps_the_rest_and_raises_the_version_it_shares_with_blocks(notes: Notes) -> None:
    privacy, blocks = PrivacySettings(notes.changed), Blocks(notes.changed, 10)
    assert await privacy.get(A) == OPEN
    assert await privacy.change(A, {"last_seen": "contacts"}) == Privacy("contacts")
    await blocks.block(A, B)
    assert await privacy.change(A, {"online": "nobody", "read_receipts": False}) == Privacy("contacts", "nobody", False)
    assert await privacy.get(A) == Privacy("contacts", "nobody", False)
    assert await privacy.get(B) == OPEN
    told = [(rules.blocks_version, rules.privacy, list(rules.blocked)) for _, rules in notes.changes]
    assert told == [(1, "ce11", []), (2, "ce11", [B]), (3, "cn01", [B])]
    assert (await User.get(mobile_no=A)).blocks_changed_at > datetime(2026, 1, 1, tzinfo=UTC)


async def test_what_changes_nothing_raises_no_version_and_is_passed_on_again(notes: Notes) -> None:
    privacy = PrivacySettings(notes.changed)
    notes.fail = ApiError("unavailable")
    with pytest.raises(ApiError, match="unavailable"):
        await privacy.change(A, {"online": "nobody"})
    notes.fail = None
    for changed in ({"online": "nobody"}, {}):
        assert await privacy.change(A, changed) == Privacy(online="nobody")
    assert [(rules.blocks_version, rules.privacy) for _, rules in notes.changes] == [(1, "en11")] * 2


async def test_nobody_has_no_privacy(notes: Notes) -> None:
    privacy = PrivacySettings(notes.changed)
    for attempt in (privacy.get("919800009999"), privacy.change("919800009999", {})):
        with pytest.raises(ApiError, match="no_such_person"):
            await attempt


async def test_a_record_carries_privacy_and_the_times_of_blocks(notes: Notes, passwords: Passwords) -> None:
    await Blocks(notes.changed, 10).block(A, B)
    await PrivacySettings(notes.changed).change(A, {"stranger_receipts": False})
    record, other = [await Directory(passwords, 30 * 86_400).person(mobile) for mobile in (A, B)]
    assert record is not None
    assert other is not None
    assert (record.privacy, record.blocks_version, record.blocked) == ("ee10", 2, notes.changes[-1][1].blocked)
    assert (other.privacy, other.blocked) == ("", {})
