import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sanic.exceptions import ServerKilled
from sanic.worker.constants import ProcessState
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from server.watchdog import LONGEST_WAIT_SECONDS, STEADY_SECONDS, Watchdog, _kill_workers
from tests.server.cli import OTHERS, running
from tests.server.support import scaled_to_load
from tests.support.processes import patient
from tests.support.stack import ROOT


def test_a_killed_worker_is_replaced_within_two_seconds_with_a_new_server_id(tmp_path: Path) -> None:
    with running(tmp_path) as command:
        for _ in range(2):
            before = command.workers()
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            took = command.wait(lambda gone=victim: len(command.workers().keys() - {gone}) == 2, 10)  # type: ignore[misc]
            assert took <= scaled_to_load(2)
            new = {pid: name for pid, name in command.workers().items() if pid not in before}
            assert set(new.values()).isdisjoint(before.values())


def test_when_all_workers_are_killed_all_come_back(tmp_path: Path) -> None:
    with running(tmp_path) as command:
        before = command.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        assert command.wait(lambda: len(command.workers().keys() - before.keys()) == 2, 10) <= scaled_to_load(2.5)


async def test_a_killed_manager_leaves_nothing_and_clients_get_a_close_frame(tmp_path: Path) -> None:
    with running(tmp_path) as command:
        command.workers()
        assert len(command.seen) == 1 + OTHERS + 2
        async with connect(command.url()) as client:
            command.main.kill()
            took = await command.wait_in_thread(lambda: not command.alive(), 10)
            assert took <= scaled_to_load(2)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 4012
        with socket.create_server(("127.0.0.1", command.port)):
            pass  # the port is free


async def test_orphans_that_cannot_close_their_sockets_in_time_end_all_the_same(tmp_path: Path) -> None:
    with running(tmp_path, WORK="30", DRAIN="60") as command:
        command.workers()
        command.main.kill()
        assert await command.wait_in_thread(lambda: not command.alive(), 10) <= scaled_to_load(2)


def test_a_stop_while_the_workers_still_start_ends_everything(tmp_path: Path) -> None:
    with running(tmp_path, up=False, WORKER_START="30") as command:
        command.wait(lambda: command.children() == OTHERS + 2, 10)
        command.wait(command.catches_sigterm, 10)
        assert command.stop() == 0
        assert command.wait(lambda: not command.alive(), 5) <= scaled_to_load(2)


def test_a_stop_before_there_are_workers_ends_the_state_process_too(tmp_path: Path) -> None:
    with running(tmp_path, up=False, MAIN_START="30") as command:
        command.wait(lambda: command.children() == OTHERS, 10)
        command.wait(command.catches_sigterm, 10)
        assert command.stop() == 0
        assert command.wait(lambda: not command.alive(), 5) <= scaled_to_load(2)


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_at_any_moment_of_the_start_ends_everything(tmp_path: Path, moment: float, number: int) -> None:
    with running(tmp_path, up=False) as command:
        command.wait(lambda: command.children() >= OTHERS and command.catches_sigterm(), 10)
        time.sleep(moment)
        command.process.send_signal(number)
        assert command.process.wait(patient(10)) == 0
        assert command.wait(lambda: not command.alive(), 5) <= scaled_to_load(2)


class Manager(SimpleNamespace):
    """What the watchdog sees of Sanic's manager."""

    def __init__(self) -> None:
        self.worker = SimpleNamespace(name="w", pid=1, state=ProcessState.ACKED, exitcode=None)
        self.worker.terminate = self.terminate
        self.sent: list[str] = []
        super().__init__(
            transient_processes=[self.worker],
            processes=[self.worker],
            worker_state={"w": {"state": "STARTED"}},
            monitor_publisher=SimpleNamespace(send=self.sent.append),
            _shutting_down=False,
        )

    def terminate(self) -> None:
        self.sent.append("terminate")
        self.worker.state = ProcessState.TERMINATED

    def die(self) -> None:
        self.worker.state, self.worker.exitcode = ProcessState.FAILED, -9

    def revive(self) -> None:
        self.worker.pid, self.worker.state = self.worker.pid + 1, ProcessState.ACKED


def make_watchdog() -> tuple[Any, Watchdog, list[float]]:
    manager, now = Manager(), [0.0]
    watchdog = Watchdog(manager, lambda: now[0])  # type: ignore[arg-type]
    watchdog.look()
    return manager, watchdog, now


def test_each_death_is_asked_for_once() -> None:
    manager, watchdog, now = make_watchdog()
    manager.die()
    for _ in range(5):
        now[0] += 1
        watchdog.look()
    assert manager.sent == ["w:"]


def test_a_crash_loop_slows_down_and_a_steady_life_forgives_it() -> None:
    manager, watchdog, now = make_watchdog()
    waits = []
    for _ in range(12):
        manager.die()
        died, count = now[0], len(manager.sent)
        while len(manager.sent) == count:
            watchdog.look()
            now[0] += 0.25
        waits.append(now[0] - 0.25 - died)
        manager.revive()
        watchdog.look()
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_SECONDS
    now[0] += STEADY_SECONDS + 1
    manager.die()
    watchdog.look()
    assert len(manager.sent) == 13


def test_nothing_is_restarted_during_a_shutdown() -> None:
    manager, watchdog, _ = make_watchdog()
    manager._shutting_down = True
    manager.die()
    watchdog.look()
    assert manager.sent == []


def test_a_worker_started_during_the_shutdown_is_ended_once() -> None:
    manager, watchdog, _ = make_watchdog()
    manager.worker.state = ProcessState.STARTING  # Sanic breaks when it is ended now
    watchdog.end_latecomers()
    assert manager.sent == []
    manager.worker.state = ProcessState.STARTED
    for _ in range(3):
        watchdog.end_latecomers()
    assert manager.sent == ["terminate"]


def test_a_worker_that_missed_its_signal_while_it_started_gets_another_one() -> None:
    manager, watchdog, _ = make_watchdog()
    manager.worker.state = ProcessState.TERMINATED
    watchdog.end_latecomers()
    assert manager.sent == []
    manager.worker_state["w"]["state"] = "ACKED"
    watchdog.end_latecomers()
    assert manager.sent == ["terminate"]
    manager.worker_state = {}  # what held it has ended
    watchdog.end_latecomers()
    assert manager.sent == ["terminate"]


def test_a_second_signal_kills_the_workers_that_were_started() -> None:
    manager, _, _ = make_watchdog()
    child = subprocess.Popen(["sleep", "60"])
    manager.processes = [SimpleNamespace(pid=None), SimpleNamespace(pid=child.pid)]
    with pytest.raises(ServerKilled):
        _kill_workers(manager)
    assert child.wait(10) == -signal.SIGKILL


FORK_DURING_A_LOOK = """
import os, threading, time
from server.watchdog import fork_between

lock, began, done = threading.Lock(), threading.Event(), []

def look():
    with lock:
        began.set()
        time.sleep(0.2)
        done.append(True)

fork_between(lock)
threading.Thread(target=look).start()
began.wait()
if os.fork() == 0:
    os._exit(0 if done and not lock.locked() else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_no_worker_is_forked_in_the_middle_of_a_look() -> None:
    subprocess.run([sys.executable, "-c", FORK_DURING_A_LOOK], cwd=ROOT, check=True)


def test_a_look_that_fails_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    manager, watchdog, _ = make_watchdog()
    looks = iter([KeyError("broken"), None, SystemExit()])

    def look() -> None:
        if (failure := next(looks)) is not None:
            raise failure

    monkeypatch.setattr(watchdog, "look", look)
    monkeypatch.setattr("server.watchdog.LOOK_SECONDS", 0)
    with pytest.raises(SystemExit):
        watchdog.run()
    assert manager.sent == []
