"""Two watches that Sanic lacks: a killed worker is replaced, and when the manager is killed all workers end.

The first runs as a thread in the manager, the second as a thread in each worker: both must go on when an event loop
does not.
"""

import contextlib
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final, NoReturn

import structlog
from sanic.exceptions import ServerKilled
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
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)
STATE_PID: Final = "MINI_STATE_PROCESS"
"""Environment variable by which workers learn the pid of Sanic's state process."""


def install(app: Any) -> None:
    """Give a Sanic application both watches."""
    app.main_process_start(_name_state_process)
    app.main_process_start(_end_when_told)
    app.main_process_ready(_handle_signals)
    app.main_process_ready(_watch_workers)
    app.before_server_start(_watch_manager)


# ---- in the manager


def _name_state_process(_app: Any) -> None:
    for child in multiprocessing.active_children():
        if child.name.startswith("SyncManager"):
            os.environ[STATE_PID] = str(child.pid)


def _end_when_told(_app: Any) -> None:
    # Sanic's manager takes signals only later. Until then SIGTERM would kill us and leave the state process behind, and
    # so would a second Ctrl-C that comes while the first one is obeyed.
    def end(_number: int, _frame: FrameType | None) -> None:
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        sys.exit(0)

    for number in _STOPS:
        signal.signal(number, end)


def _handle_signals(app: Any) -> None:
    # Sanic's own handler stops the workers inside of the signal, with calls to the state process. When the signal came
    # in the middle of such a call, the answers got mixed up and the manager ended with an exception.
    manager, told = app.manager, list[int]()
    manager.kill = partial(_kill_workers, manager)

    def stop(number: int, _frame: FrameType | None) -> None:
        if told:
            with contextlib.suppress(ServerKilled):
                manager.kill()
        else:
            told.append(number)
            manager.monitor_publisher.send("__TERMINATE__")  # handled between two looks at the workers

    # A stop that comes before all workers are up would leave Sanic waiting for their acks, in a busy loop and for ever.
    acked = manager._all_workers_ack
    manager._all_workers_ack = lambda: bool(told) or manager._shutting_down or acked()
    for number in _STOPS:
        signal.signal(number, stop)
    # A forked worker inherits the handlers. Until it sets its own, a signal is to end it, not to stop the manager.
    os.register_at_fork(after_in_child=_end_by_signals)


def _kill_workers(manager: WorkerManager) -> NoReturn:
    """Sanic's own kills the whole process group, with all that else is in it.

    :raises ServerKilled: always, as Sanic's
    """
    for pid in [process.pid for process in manager.processes]:
        if pid:  # else it was not started yet
            _quietly(os.kill, pid)
    raise ServerKilled


def _end_by_signals() -> None:
    for number in _STOPS:
        signal.signal(number, signal.SIG_DFL)


def _watch_workers(app: Any) -> None:
    watchdog = Watchdog(app.manager)
    fork_between(watchdog.looking)
    threading.Thread(target=watchdog.run, name="watchdog", daemon=True).start()


def fork_between(lock: threading.Lock) -> None:
    """From now on this process forks only while nobody holds the lock.

    A fork in the middle of a look would copy a lock as it is, that of the standard output say, and no thread of the
    worker would ever release it.
    """
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


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
        self.looking = threading.Lock()
        """Held during each look."""

    def run(self) -> None:
        """Look for ever: the thread ends with its process."""
        while True:
            time.sleep(LOOK_SECONDS)
            with self.looking:
                self._look_once()

    def _look_once(self) -> None:
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
        """Stop workers that were started while the manager was told to stop, or it would wait for them for ever; and
        those that were told to stop while they started, missed it, and have reported ready since."""
        for process in list(self._manager.processes):
            if process.state is ProcessState.TERMINATED and self._is_ready(process):
                process.state = ProcessState.ACKED
            if ProcessState.STARTED <= process.state <= ProcessState.JOINED:
                process.terminate()

    def _is_ready(self, process: WorkerProcess) -> bool:
        """By what the worker itself has told the state process, which may have ended by now."""
        with contextlib.suppress(OSError, EOFError, KeyError):
            return bool(self._manager.worker_state[process.name].get("state") == ProcessState.ACKED.name)
        return False

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


def _wait_for_end(manager: BaseProcess) -> None:
    """However it ends. Not by the pipe that ``join`` waits on, where there is a pidfd: forked workers inherit the ends
    of each other's pipes, so that they would notice only one after another."""
    pid = manager.pid
    try:
        handle = os.pidfd_open(pid) if pid and hasattr(os, "pidfd_open") else -1
    except ProcessLookupError:
        return
    if handle < 0:
        manager.join()
    elif os.getppid() == pid:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll()


def _quietly(kill: Callable[[int, int], None], target: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        kill(target, signal.SIGKILL)


def _outlive(manager: BaseProcess, end_state_process: Callable[[], None]) -> None:
    _wait_for_end(manager)
    logger.error("the manager is gone, so this worker ends")
    # First, because a worker that ends by itself takes this thread along.
    end_state_process()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)
