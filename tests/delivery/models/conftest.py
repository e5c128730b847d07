"""The machines' assertions say what differed, as those of tests do."""

import pytest

ROOMS = ("rough_machine", "lease_machine", "post_machine", "mailbox_machine", "presence_machine")
pytest.register_assert_rewrite(*(f"tests.delivery.models.{room}" for room in ROOMS))
