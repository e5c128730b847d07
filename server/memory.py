"""Memory that a crowd took, back to the operating system when it has left."""

import ctypes
import gc
from collections.abc import Callable

Trim = Callable[[int], int]


def _find_trim() -> Trim | None:
    """glibc's; other C libraries have none."""
    found: Trim | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found


_TRIM = _find_trim()


def give_back() -> None:
    """Collect what only Python's collector frees, and then have glibc give back what is free between what is not:
    by itself it gives back only what is free at the end of its heap."""
    gc.collect()
    if _TRIM is not None:
        _TRIM(0)
