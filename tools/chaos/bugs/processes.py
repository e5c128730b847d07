"""Bugs in the supervision of processes."""

import sys
from typing import Final

from delivery.hub import Hub
from server.watchdog import Watchdog
from tools.chaos.bugs.base import Bug, Scene, replace


def replace_no_worker() -> None:
    """A dead worker stays dead."""
    replace(Watchdog, "look", lambda _self: None)


def ignore_freezes() -> None:
    """A process that stood still goes on as if it had not."""
    begin = Hub.__init__

    def without_end(self: Hub, _lease_seconds: float, *rest: float) -> None:
        begin(self, float("inf"), *rest)

    replace(Hub, "__init__", without_end)


def wait_for_ever() -> None:
    """arq waits for a reply as long as it likes. Only its own process has the room in which that is bounded."""
    if (jobs := sys.modules.get("workers")) is not None:
        jobs.WorkerSettings.redis_pool.connection_pool.connection_kwargs["socket_timeout"] = None


BUGS: Final = [
    Bug(
        "watchdog-asleep",
        "A worker that was killed is not replaced.",
        *("green only after", "s", replace_no_worker),
        Scene(("kill-worker",), before=1.0),
    ),
    Bug(
        "freeze-unfelt",
        "A process that stood still for longer than a lease does not notice.",
        *("the frozen worker did not notice", "that it had been", ignore_freezes),
        Scene(("freeze-worker",), before=1.0),
    ),
    Bug(
        "arq-waits",
        "The arq worker waits for ever for replies that do not come, and its supervisor sees it alive.",
        *("dead:", "base", wait_for_ever),
        Scene(("kill-worker", "no-replies"), before=1.0),
    ),
]
