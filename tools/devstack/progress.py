"""What a person sees while an installer works. Standard library only."""

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LOOK_SECONDS = 0.2
LINE_SECONDS = 5.0
"""Between two lines where the output is no terminal."""
BAR_WIDTH = 24


@dataclass
class Progress:
    """How far an installer is; ``total`` is how many packages it will look at."""

    total: int
    fetched: int = 0
    package: str = ""
    output: list[str] = field(default_factory=list)

    def read(self, lines: IO[str]) -> None:
        """Note everything the installer prints, until it ends."""
        for line in lines:
            self.output.append(line)
            if found := re.match(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line):
                self.fetched += 1
                self.package = found[1]
            elif line.startswith("Installing collected packages:"):
                self.total = line.count(",") + 1

    def text(self, unpacked: int) -> str:
        """A bar and what it stands for; ``unpacked`` packages are in place."""
        stage, count = ("unpacking", unpacked) if unpacked else ("fetching", self.fetched)
        count = min(count, self.total)
        bar = "#" * (BAR_WIDTH * count // max(self.total, 1))
        package = "" if unpacked else self.package
        return f"  {stage:<9} [{bar:.<{BAR_WIDTH}}] {count}/{self.total} {package}"


def follow(command: list[str], total: int, environment: Path) -> tuple[int, str]:
    """Run an installer and show how far it is.

    While it unpacks, it prints nothing; each package it has finished leaves a ``dist-info`` directory.

    :returns: the exit code, and everything it printed
    """
    before = _installed(environment)
    progress = Progress(total)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        reader = threading.Thread(target=progress.read, args=(process.stdout,))
        reader.start()
        try:
            _show_until_it_ends(process, progress, environment, before)
        except BaseException:
            process.send_signal(signal.SIGTERM)
            raise
        finally:
            reader.join()
    return process.returncode, "".join(progress.output)


def _show_until_it_ends(process: "subprocess.Popen[str]", progress: Progress, environment: Path, before: int) -> None:
    live = sys.stdout.isatty()
    next_line = time.monotonic() + LINE_SECONDS
    while process.poll() is None:
        text = progress.text(max(0, _installed(environment) - before))
        if live:
            _print(f"\r{text:<78.78}", end="")
        elif time.monotonic() >= next_line:
            next_line = time.monotonic() + LINE_SECONDS
            _print(text)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
    if live:
        _print(f"\r{'':<78}\r", end="")


def _installed(environment: Path) -> int:
    return sum(1 for _ in environment.glob("lib/python*/site-packages/*.dist-info"))


def _print(text: str, end: str = "\n") -> None:
    # The terminal may have been closed meanwhile; that is no reason to leave an installation half done.
    with contextlib.suppress(OSError):
        print(text, end=end, flush=True)
