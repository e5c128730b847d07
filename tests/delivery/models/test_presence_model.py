"""Leases and last seen against the model, in random order and under faults."""

import pytest

from tests.delivery.models.presence_machine import PresenceMachine
from tests.delivery.models.running import run


@pytest.mark.timeout(0)
def test_presence_is_as_the_model_whatever_happens(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(PresenceMachine, valkey_url, monkeypatch, examples=50)
