"""Server processes that die, freeze or stand still."""

import os
import signal
import time

from tools.chaos.faults.base import TWICE_T, Fault
from tools.chaos.servers import READY_SECONDS, Group
from tools.chaos.stack import Profile, Stack
from tools.devstack.process import birth, wait_until

REPLACED_SECONDS = 10.0
WORKERS = frozenset({"workers"})


class KillWorker(Fault):
    """As the kernel's out-of-memory killer does."""

    name, what, touches, seconds = "kill-worker", "kill -9 of one of three workers", WORKERS, 1.0
    outage_limit = 5.0

    def strike(self, stack: Stack) -> None:
        os.kill(stack.groups[0].victims[0], signal.SIGKILL)


class KillBothWorkers(Fault):
    """A group without a worker, whose port still accepts connections."""

    name, what, touches, seconds = "kill-both-workers", "kill -9 of both workers of one server", WORKERS, 1.0
    outage_limit = 8.0

    def strike(self, stack: Stack) -> None:
        for pid in stack.groups[0].victims:
            os.kill(pid, signal.SIGKILL)


class KillAllWorkers(Fault):
    """No worker is left."""

    name, what, touches, seconds = "kill-all-workers", "kill -9 of every worker of both servers", WORKERS, 1.0

    def strike(self, stack: Stack) -> None:
        for pid in [pid for group in stack.groups for pid in group.victims]:
            os.kill(pid, signal.SIGKILL)


class KillManager(Fault):
    """Its workers must end, or they would keep the port from its successor."""

    name, what, touches = "kill-manager", "kill -9 of a server's main process; started again", WORKERS
    outage_limit = 8.0

    def strike(self, stack: Stack) -> None:
        self._orphans = stack.groups[0].victims
        stack.groups[0].kill_manager()

    def heal(self, stack: Stack) -> None:
        stack.groups[0].start()

    def after(self, stack: Stack) -> list[str]:
        return [f"worker {pid} outlived its manager" for pid in self._orphans if birth(pid)]


class FreezeWorker(Fault):
    """After the freeze it must find its leases gone, close its sockets and fetch nothing new."""

    name, what, touches, seconds = "freeze-worker", "SIGSTOP of a worker for 2 x T, then SIGCONT", WORKERS, TWICE_T

    def strike(self, stack: Stack) -> None:
        self._pid = stack.groups[0].victims[0]
        os.kill(self._pid, signal.SIGSTOP)

    def heal(self, stack: Stack) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def after(self, stack: Stack) -> list[str]:
        noticed = "stood still for longer than a lease" in stack.groups[0].text()
        return [] if noticed else ["the frozen worker did not notice that it had been"]


class BlockLoop(Fault):
    """A bug that computes for ever: the process and its threads live, its event loop does not."""

    name, what, touches, seconds = (
        "block-loop",
        "a worker's event loop stands still for 2 x T (long: 30 s)",
        WORKERS,
        8.0,
    )
    long_seconds = 30.0
    profile = Profile(patches="block,poison")

    def strike(self, stack: Stack) -> None:
        stack.block_flag.touch()
        os.kill(stack.groups[0].victims[0], signal.SIGUSR2)

    def heal(self, stack: Stack) -> None:
        stack.block_flag.unlink()

    def after(self, stack: Stack) -> list[str]:
        noticed = "stood still for longer than a lease" in stack.groups[0].text()
        return [] if noticed else ["the blocked worker did not notice that it had been"]


class RollingRestart(Fault):
    """What every deployment does."""

    name, what, touches, seconds = "rolling-restart", "each server stopped with SIGTERM and started again", WORKERS, 0.0
    outage_limit = 10.0

    def strike(self, stack: Stack) -> None:
        for group in stack.groups:
            group.stop()
            group.start()
            self._await(group, stack)

    def _await(self, group: Group, stack: Stack) -> None:
        if not wait_until(lambda: group.ready(stack.redis.url), READY_SECONDS):
            raise TimeoutError(f"group {group.name} did not come back")
        time.sleep(1)  # as a careful operator does


FAULTS: list[type[Fault]] = [
    KillWorker,
    KillBothWorkers,
    KillAllWorkers,
    KillManager,
    FreezeWorker,
    BlockLoop,
    RollingRestart,
]
