"""Moves the wall clock of some processes, by a small C library that is loaded before libc (Linux with a compiler)."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("clock.c")


def can_move_clocks() -> bool:
    """Whether this machine can compile and preload the library."""
    return sys.platform == "linux" and shutil.which("cc") is not None


class Clock:
    """One clock. A process that starts with ``env`` in its environment follows it.

    :param place: a directory of its own
    """

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._file, library = place / "offset", place / "clock.so"
        self.move(0)
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
        self.env = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._file)}

    def move(self, seconds: float) -> None:
        """Set it so many seconds from the true time."""
        # In place, because processes have mapped the file.
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("=q", int(seconds * 1e9)))
