"""Two watches that Sanic lacks: a killed worker is replaced, and when the manager is killed all workers end.

The first runs as a thread in the manager, the second as a thread in each worker: both must go on when an event loop
does not.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Final

import structlog
from sanic.worker.constants import ProcessState
from sanic.worker.manager import WorkerManager
from sanic.worker.process import WorkerProcess

from background.loops import Failures

logger = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.1
FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 15.0
STEADY_SECONDS: Final = 10.0
"""A worker that lived this long is replaced at once; one that died sooner waits, longer each time."""
ORPHAN_SECONDS: Final = 1.0
"""How long a worker without a manager may close the sockets of its clients."""
STATE_PID: Final = "MINI_STATE_PROCESS"
"""Environment variable by which workers learn the pid of Sanic's state process."""


def install(app: Any) -> None:
    """Give a Sanic application both watches."""
    app.main_process_start(_name_state_process)
    app.main_process_start(_end_when_told)
    app.main_process_ready(_watch_workers)
    app.before_server_start(_watch_manager)


# ---- in the manager


def _name_state_process(_app: Any) -> None:
    for child in multiprocessing.active_children():
        if child.name.startswith("SyncManager"):
            os.environ[STATE_PID] = str(child.pid)


def _end_when_told(_app: Any) -> None:
    # Sanic's manager takes signals only later; until then SIGTERM would kill us and leave the state process behind.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))


def _watch_workers(app: Any) -> None:
    _let_go_of_acks(app.manager)
    threading.Thread(target=Watchdog(app.manager).run, name="watchdog", daemon=True).start()


def _let_go_of_acks(manager: WorkerManager) -> None:
    # A stop that comes before all workers are up leaves Sanic waiting for their acks, in a busy loop and for ever.
    acked = manager._all_workers_ack
    manager._all_workers_ack = lambda: manager._shutting_down or acked()  # type: ignore[method-assign, no-untyped-call]


@dataclass
class _Record:
    pid: int | None = None
    born: float = 0.0
    quick_deaths: int = 0
    replace_at: float | None = None
    asked: bool = False


class Watchdog:
    """Asks the manager to start dead workers anew."""

    def __init__(self, manager: WorkerManager, clock: Callable[[], float] = time.monotonic) -> None:
        self._manager = manager
        self._clock = clock
        self._records: dict[str, _Record] = {}
        self._failures = Failures("watchdog")

    def run(self) -> None:
        """Look for ever: the thread ends with its process."""
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                if self._manager._shutting_down:
                    self.end_latecomers()
                else:
                    self.look()
            except Exception as error:  # noqa: BLE001 - logged; a watch that has ended replaces nobody
                self._failures.failed(error, foreseen=False)
            else:
                self._failures.succeeded()

    def end_latecomers(self) -> None:
        """Stop workers that were started while the manager was told to stop, or it would wait for them for ever."""
        for process in list(self._manager.processes):
            if ProcessState.STARTED <= process.state <= ProcessState.JOINED:
                process.terminate()

    def look(self) -> None:
        """Ask for each worker that the manager has found dead, once per death."""
        for process in list(self._manager.transient_processes):
            record = self._records.setdefault(process.name, _Record())
            if process.pid != record.pid:
                record.pid, record.born = process.pid, self._clock()
                record.replace_at, record.asked = None, False
            if process.state in (ProcessState.FAILED, ProcessState.COMPLETED) and not record.asked:
                self._replace(process, record)

    def _replace(self, process: WorkerProcess, record: _Record) -> None:
        now = self._clock()
        if record.replace_at is None:
            record.quick_deaths = record.quick_deaths + 1 if now - record.born < STEADY_SECONDS else 0
            record.replace_at = now + _wait_after(record.quick_deaths)
            logger.error("worker died", worker=process.name, pid=process.pid, exitcode=process.exitcode)
        if now >= record.replace_at and not self._manager._shutting_down:
            record.asked = True
            self._manager.monitor_publisher.send(f"{process.name}:")


def _wait_after(quick_deaths: int) -> float:
    """Nothing after the first death, so that a kill is healed at once; then longer each time, for a crash loop."""
    if quick_deaths <= 1:
        return 0.0
    return float(min(FIRST_WAIT_SECONDS * 2 ** min(quick_deaths - 2, 10), LONGEST_WAIT_SECONDS))


# ---- in each worker


def _watch_manager(_app: Any) -> None:
    manager = multiprocessing.parent_process()
    if manager is None:  # no worker process: tests, --single-process
        return
    end_state_process = _killer(int(os.environ.get(STATE_PID, "0")))
    threading.Thread(target=_outlive, args=(manager, end_state_process), name="orphan-watch", daemon=True).start()


def _killer(pid: int) -> Callable[[], None]:
    """What ends that process and no other: a pidfd is bound to the process, a pid may belong to another by then."""
    if not pid:
        return lambda: None
    if not hasattr(os, "pidfd_open"):
        return lambda: _quietly(os.kill, pid)
    handle = os.pidfd_open(pid)
    return lambda: _quietly(signal.pidfd_send_signal, handle)


def _quietly(kill: Callable[[int, int], None], target: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        kill(target, signal.SIGKILL)


def _outlive(manager: BaseProcess, end_state_process: Callable[[], None]) -> None:
    manager.join()  # waits on a pipe that the kernel closes when the manager is gone, however it went
    logger.error("the manager is gone, so this worker ends")
    # First, because a worker that ends by itself takes this thread along.
    end_state_process()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)
