"""The machines' assertions say what differed, as those of tests do."""

import pytest

MACHINES = ("base_machine", "lease_machine", "chat_machine", "mailbox_machine", "presence_machine")
pytest.register_assert_rewrite(*(f"tests.delivery.models.{name}" for name in MACHINES))
