"""Every script of the mailbox against the model, in random order and under faults."""

import pytest

from tests.delivery.models.mailbox_machine import MailboxMachine
from tests.delivery.models.running import run


@pytest.mark.timeout(0)
def test_a_mailbox_is_as_the_model_whatever_happens(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(MailboxMachine, valkey_url, monkeypatch, examples=90)
