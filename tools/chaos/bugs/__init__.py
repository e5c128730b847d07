"""Bugs on purpose: each is put into the real product, and the campaign must find it."""

from typing import Final

from tools.chaos.bugs import handing, people, processes, sending
from tools.chaos.bugs.base import Bug, Scene

__all__ = ["BUGS", "Bug", "Scene", "put_in"]

BUGS: Final[dict[str, Bug]] = {bug.name: bug for room in (sending, handing, people, processes) for bug in room.BUGS}
"""By name."""


def put_in(name: str) -> None:
    """Into this process; "" puts in none.

    :raises KeyError: there is no such bug
    """
    if name:
        BUGS[name].patch()
