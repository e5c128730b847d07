"""What the tests of the JavaScript client share."""

import pytest

from tools.devstack.checks import browser_is_required
from tools.devstack.javascript import OLDEST, Node, node


def node_or_skip() -> Node:
    """A Node. Without one the test is skipped, and fails where CI=true."""
    found = node()
    if found is not None:
        return found
    why = f"the tests of the JavaScript client need Node {OLDEST} or newer, with npm, on the PATH"
    if browser_is_required():
        pytest.fail(why)
    pytest.skip(why)
