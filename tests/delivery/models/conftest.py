"""The machines' assertions say what differed, as those of tests do."""

import pytest

pytest.register_assert_rewrite(
    *(f"tests.delivery.models.{room}" for room in ("rough_machine", "mailbox_machine", "presence_machine"))
)
