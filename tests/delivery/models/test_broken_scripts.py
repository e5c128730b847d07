"""The models bite: each script that is broken on purpose is found out."""

import warnings
from itertools import chain

import pytest

from tests.delivery.models.mailbox_machine import MailboxMachine
from tests.delivery.models.presence_machine import PresenceMachine
from tests.delivery.models.running import Make, find
from tools.chaos.breakages import OF_MAILBOXES, OF_PRESENCE, Breakage

MOST = 1000
"""Plays before a breakage counts as missed."""
MAILBOXES = {
    "an acknowledgement is not noted for the other devices": 924,
    "the note of an acknowledgement is lost with its entry": 113,
    "the note of an acknowledgement stays when its entry leaves": 2,
    "an entry leaves and stays in pending lists": 9,
    "settling counts for devices that have not read": 14,
    "a lease that is over outlives its device": 26,
    "a forgotten device settles for the one that is left": 25,
    "settling counts for devices that have not acknowledged": 14,
    "counters are not lowered": 10,
    "shadow entries are not counted down": 1,
    "a send does not look at blocks": 32,
    "a fetch does not look at blocks": 32,
    "a blocked sender's chats are read": 25,
    "a send does not look for a record": 14,
    "a send leaves no record": 2,
    "another text under a known messageId gets sent": 17,
    "a text is forgotten when its chat becomes a shadow entry": 33,
    "a text is forgotten when its chat is read": 234,
    "a settled chat takes the records along": 3,
    "a read chat is not marked": 0,
    "the number of chats has no limit": 0,
    "the bytes have no limit": 23,
    "one sender has no limit": 17,
    "one sender's bytes have no limit": 2,
    "a cap drops what is oldest": 2,
    "shadow entries are stored as chats": 32,
    "a chat expires without a receipt": 1,
    "an acknowledgement is not noted": 113,
    "a shadow entry is noted as if it were an entry": 1035,
    "an acknowledged chat that becomes a shadow entry is forgotten": 11,
    "an entry in flight expires": 27,
    "an expired chat leaves before its receipt is stored": 1,
    "a connection without the lease fetches": 0,
    "a connection whose lease is over fetches": 21,
    "a new device gets no group": 0,
    "a new device does not get what waits": 0,
    "old blocks undo newer ones": 30,
    "the new owner of a number finds the former one's data": 2,
    "the empty mailbox of a connected person is deleted": 21,
    "the last device takes the waiting entries with it": 41,
    "copies are not counted down": 5,
    "copies have no limit": 40,
    "a device skips what it has not read when it sends": 2,
    "copies are made for nobody": 1,
    "stuck entries are not notified": 0,
}
"""For each breakage the number of a play that shows it within few steps: most need tens of plays, some hundreds. When a
machine or a script has changed and that play shows it no more, the others are tried, and a warning tells which does."""
PRESENCE = {
    "a connection without the lease releases it": 26,
    "a renewal takes a replaced lease back": 19,
    "a renewal counts from now": 9,
    "a claim counts from now": 0,
    "a silent client claims": 21,
    "a lost lease is claimed from a newer connection": 24,
    "a claim does not name the connection it replaces": 9,
    "a lease that is over is shown": 12,
    "a blocked person sees presence": 14,
    "what a blocked person sees is not frozen": 9,
    "somebody online blocks, and seems to have left before": 9,
    "a sweep leaves overlong leases": 77,
    "a sweep ends everyone's lease": 18,
    "a release is not recorded": 4,
}


@pytest.mark.parametrize("name", OF_MAILBOXES)
def test_a_broken_mailbox_is_found_out(name: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found_out(MailboxMachine, OF_MAILBOXES[name], MAILBOXES.get(name, 0), valkey_url, monkeypatch)


@pytest.mark.parametrize("name", OF_PRESENCE)
def test_broken_presence_is_found_out(name: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found_out(PresenceMachine, OF_PRESENCE[name], PRESENCE.get(name, 0), valkey_url, monkeypatch)


def found_out(make: Make, breakage: Breakage, known: int, url: str, patch: pytest.MonkeyPatch) -> None:
    number = find(make, breakage, url, patch, chain([known], range(MOST)))
    assert number is not None, "nothing went wrong"
    if number != known:
        warnings.warn(f"play {known} does not show it any more; play {number} does", stacklevel=2)


@pytest.mark.parametrize(("make", "numbers"), [(MailboxMachine, MAILBOXES), (PresenceMachine, PRESENCE)])
def test_the_same_plays_find_nothing_in_scripts_that_are_whole(
    make: Make, numbers: dict[str, int], valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(make, None, valkey_url, monkeypatch, sorted({*numbers.values()})) is None
