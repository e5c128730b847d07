"""Speaking to the person who started us."""

import contextlib
import sys


def say(text: str) -> None:
    """A line; the terminal may have been closed meanwhile, and that must not keep us from stopping in good order."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def complain(text: str) -> None:
    """The same, where errors go."""
    with contextlib.suppress(OSError):
        print(f"\n{text}", file=sys.stderr, flush=True)
