"""The models bite: each script that is broken on purpose is found out."""

import pytest

from delivery.results import CommandFailed
from tests.delivery.models.mailbox_machine import MailboxMachine
from tests.delivery.models.presence_machine import PresenceMachine
from tests.delivery.models.running import break_and_run
from tools.chaos.breakages import OF_MAILBOXES, OF_PRESENCE

MOST = 1000
"""Examples before a fault counts as missed; the first few find most."""


@pytest.mark.parametrize("name", OF_MAILBOXES)
def test_a_broken_mailbox_is_found_out(name: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, CommandFailed)):
        break_and_run(MailboxMachine, OF_MAILBOXES[name], valkey_url, monkeypatch, MOST)


@pytest.mark.parametrize("name", OF_PRESENCE)
def test_broken_presence_is_found_out(name: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, CommandFailed)):
        break_and_run(PresenceMachine, OF_PRESENCE[name], valkey_url, monkeypatch, MOST)
