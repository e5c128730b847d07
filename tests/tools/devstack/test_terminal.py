"""A closed terminal keeps nobody from stopping in good order."""

import os
import signal
import subprocess
import sys

import pytest

from tools.devstack.options import ROOT
from tools.devstack.terminal import STOPPING, StopRequested, stop_on_signals


def test_a_closed_terminal_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    script = (
        "from tools.devstack.terminal import say, complain; say('hello'); complain('hello'); import os; os._exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=write, stderr=write, cwd=ROOT, check=False)
    os.close(write)
    assert done.returncode == 7


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_stops(number: signal.Signals) -> None:
    with pytest.raises(StopRequested), stop_on_signals():
        signal.raise_signal(number)


def test_impatience_does_not_disturb_the_stopping() -> None:
    done = []

    def stop_in_good_order() -> None:
        for number in STOPPING:
            os.kill(os.getpid(), number)
        done.append(True)

    def run() -> None:
        with stop_on_signals():
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                stop_in_good_order()

    with pytest.raises(StopRequested):
        run()
    assert done == [True]


def test_afterwards_everything_is_as_before() -> None:
    before = [signal.getsignal(number) for number in STOPPING]
    with stop_on_signals():
        assert [signal.getsignal(number) for number in STOPPING] != before
    assert [signal.getsignal(number) for number in STOPPING] == before


def test_nothing_takes_it_for_a_failure_of_its_own() -> None:
    assert not issubclass(StopRequested, Exception)
