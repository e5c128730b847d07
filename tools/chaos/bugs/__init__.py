"""Bugs on purpose: each is put into the product, and the campaign must find it."""

from typing import Final

from tools.chaos.bugs import delivering, people, processes, sending
from tools.chaos.bugs.base import Bug, Scene

__all__ = ["BUGS", "Bug", "Scene", "put_in"]

BUGS: Final[dict[str, Bug]] = {
    bug.name: bug for module in (sending, delivering, people, processes) for bug in module.BUGS
}
"""By name."""


def put_in(name: str) -> None:
    """Put a bug into this process; "" is none.

    :raises KeyError: there is no such bug
    """
    if name:
        BUGS[name].patch()
