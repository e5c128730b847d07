"""The person who started us: what they read, and how they stop us."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def say(text: str) -> None:
    """A line; the terminal may have been closed meanwhile, and that must not keep us from stopping in good order."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def complain(text: str) -> None:
    """The same, where errors go."""
    with contextlib.suppress(OSError):
        print(f"\n{text}", file=sys.stderr, flush=True)


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
