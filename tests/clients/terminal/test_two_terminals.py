"""docs/terminal.md begins with two real terminals: two people sign up, and talk. The least a messenger must do."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.clients.terminal.support import command, environment, plain
from tests.support.people import PASSWORD, new_mobile
from tests.support.processes import patient
from tests.support.stack import ROOT, ServerGroup

SECONDS = 30.0
PAGE = (ROOT / "docs" / "terminal.md").read_text(encoding="utf-8")


class Window:
    """A pseudo-terminal of 80 by 24 with the messenger in it."""

    def __init__(self, arguments: list[str], env: dict[str, str]) -> None:
        self._side, other = pty.openpty()
        env |= {"COLUMNS": "80", "LINES": "24"}
        self.process = subprocess.Popen(arguments, stdin=other, stdout=other, stderr=other, env=env, close_fds=True)
        os.close(other)
        self._shown = ""
        self._seen = 0

    def type(self, text: str) -> None:
        os.write(self._side, text.encode())

    def await_text(self, text: str) -> None:
        """Until it is drawn, after what was waited for before. A redrawing may leave out what is there already."""
        until = time.monotonic() + patient(SECONDS)
        while (place := self._shown.find(text, self._seen)) < 0:
            ready, _, _ = select.select([self._side], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"{text!r} was not drawn, but:\n{self._shown[self._seen :]}"
            with suppress(OSError):  # the program has ended
                self._shown += plain(os.read(self._side, 65536).decode(errors="replace"))
        self._seen = place + len(text)

    def end(self) -> int:
        """Ctrl+Q; the exit code."""
        self.type("\x11")
        until = time.monotonic() + patient(SECONDS)
        while self.process.poll() is None and time.monotonic() < until:
            if select.select([self._side], [], [], 0.1)[0]:
                with suppress(OSError):
                    os.read(self._side, 65536)
        return self.process.wait(0)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._side)


@contextmanager
def windows(*made: Window) -> Iterator[None]:
    try:
        yield
    finally:
        for window in made:
            window.close()


def test_two_people_talk_in_two_terminals(product: ServerGroup, tmp_path: Path) -> None:
    printed = re.search(r"^python3 run\.py (chat) (\d+)$", PAGE, re.MULTILINE)
    assert printed
    numbers = {"Asha": new_mobile(), "Ravi": new_mobile()}
    env = environment(tmp_path, product.url)  # both keep their accounts in one folder, as two runs of run.py do
    asha, ravi = (Window(command(printed[1], number), dict(env)) for number in numbers.values())
    with windows(asha, ravi):
        for window, name in ((asha, "Asha"), (ravi, "Ravi")):
            window.await_text("Password")
            window.type(f"{PASSWORD}\r")
            window.await_text("New here?")
            window.type(f"{name}\r")
            window.await_text("online")
        asha.type("\x0f")
        asha.await_text("Open a chat")
        asha.type(numbers["Ravi"])
        asha.await_text("Write to")
        asha.type("\r")
        asha.await_text("The server keeps")
        asha.type("hello Ravi\r")
        ravi.await_text("hello Ravi")
        asha.await_text("read")
        ravi.type("hello Asha\r")
        asha.await_text("hello Asha")
        ravi.await_text("read")
        assert (asha.end(), ravi.end()) == (0, 0)
    assert subprocess.run(["grep", "-rl", PASSWORD, tmp_path], check=False, stdout=subprocess.DEVNULL).returncode == 1
