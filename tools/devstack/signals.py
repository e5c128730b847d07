"""Ctrl-C, SIGTERM and a closed terminal all mean: stop, once, in good order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Raised wherever we are; a BaseException, so that nothing takes it for a failure of its own."""


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise StopRequested at the first signal. Later ones change nothing: stopping is bounded in time anyway."""

    def first(_number: int, _frame: FrameType | None) -> None:
        for each in STOPPING:
            signal.signal(each, signal.SIG_IGN)
        raise StopRequested

    before = {each: signal.signal(each, first) for each in STOPPING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
