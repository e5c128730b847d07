"""The wall clock of some processes, to be moved: a small C library loaded before libc (needs Linux and a compiler)."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("clock.c")


def can_move_clocks() -> bool:
    """Whether this machine can compile and preload it."""
    return sys.platform == "linux" and shutil.which("cc") is not None


class Clock:
    """One clock. ``env`` is what a process needs in its environment from its start to follow it.

    :param place: a directory of its own
    """

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._file, library = place / "offset", place / "clock.so"
        self.move(0)
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
        self.env = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._file)}

    def move(self, seconds: float) -> None:
        """So far from the true time, from now on."""
        # In place: whoever has mapped the file sees it.
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("=q", int(seconds * 1e9)))
