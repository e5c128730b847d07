"""Reads the commands that a page of the documentation prints, and runs them as a reader would: in order, in terminals.

A comment of HTML right above a block says what is special about it; readers do not see it:

- ``<!-- not run: REASON -->``
- ``<!-- run by PATH -->``: another test runs the block as it is printed.
- ``<!-- file: NAME -->``: the block is saved under this name.
- ``<!-- terminal NAME: until TEXT -->``: it is typed into a terminal of its own, which goes on; what follows waits
  until the terminal shows the text. ``until TEXT in terminal OTHER`` waits for another one.

A block ``text`` below a block is what that one must have printed, line by line, in any order.

What is changed of a command, and nothing else is: see :func:`as_run`.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import run
from tools.devstack import client_environment
from tools.devstack.process import wait_until

ROOT = Path(__file__).parents[2]
PRINTED_PORT = 5000
RUN = ("sh", "bash", "console", "python", "js", "javascript")
"""The kinds of blocks that are for running. ``json`` is typed into a terminal, if a comment says so."""
BLOCK_SECONDS = 45.0
_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "results", "images")
_BLOCK = re.compile(r"(?:<!-- ([^>]*?) -->\n+)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TERMINAL = re.compile(r"terminal (\w+): until (.+?)(?: in terminal (\w+))?")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the comment above it."""

    language: str
    text: str
    comment: str

    @property
    def is_for_running(self) -> bool:
        """Whether it has to be run, or to say why not."""
        return self.language in RUN

    @property
    def reason(self) -> str:
        """Why it is not run; empty if it is."""
        return self.comment.partition("not run:")[2].strip() if self.comment.startswith("not run:") else ""

    @property
    def other_test(self) -> str:
        """The test that runs it, if that is another one."""
        return self.comment.removeprefix("run by ").strip() if self.comment.startswith("run by ") else ""


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page."""
    return [Block(language, body, comment.strip()) for comment, language, body in _BLOCK.findall(text)]


def as_run(text: str, port: int) -> str:
    """The commands as the test runs them.

    - Port 5000 of this machine is the port of the product that the test started.
    - ``python3 run.py COMMAND`` is what ``run.py`` becomes when everything is installed.
    """
    clients = rf"\bpython3 run\.py ({'|'.join(client_environment.COMMANDS)})\b"
    text = re.sub(clients, r"PYTHONPATH=clients/python/src python -m whatsapp_mini.terminal.command \1", text)
    text = re.sub(rf"((?:127\.0\.0\.1|localhost):|--port[= ]){PRINTED_PORT}\b", rf"\g<1>{port}", text)
    return re.sub(
        rf"\bpython3 run\.py ({'|'.join(run.MODULES)})\b", lambda match: f"python -m {run.MODULES[match[1]][1]}", text
    )


class Terminal:
    """A shell, into which one types. A plain command that fails ends it."""

    def __init__(self, name: str, folder: Path, env: dict[str, str]) -> None:
        self.log = folder / f".terminal-{name}"
        self._output = self.log.open("wb")
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder, env=env, stdin=subprocess.PIPE, stdout=self._output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self._typed = 0
        self.type("set -euo pipefail\n")

    @property
    def output(self) -> str:
        """Everything that it shows."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def type(self, text: str) -> None:
        """Type, and press Enter."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()

    def await_text(self, text: str, since: int) -> None:
        """Until it shows the text.

        :param since: of what was there before that many characters nothing counts
        :raises AssertionError: it ended, or the time is over
        """
        wait_until(lambda: text in self.output[since:] or self._shell.poll() is not None, BLOCK_SECONDS)
        shown = self.output[since:]
        assert text in shown, f"{self.log.name} does not show {text!r}, but:\n{shown}"

    def run(self, text: str) -> str:
        """Type commands, and wait for their end; what they print.

        :raises AssertionError: one failed, or the time is over
        """
        since, self._typed = len(self.output), self._typed + 1
        mark = f"block-{self._typed}-is-done"
        self.type(f"{text.rstrip()}\necho {mark}\n")
        self.await_text(mark, since)
        return self.output[since:].replace(mark, "")

    def close(self) -> None:
        """End everything that was started in it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._shell.pid, number)
            except ProcessLookupError:
                break
            wait_until(lambda: self._shell.poll() is not None, 15 if number == signal.SIGTERM else 5)
        self._shell.wait()
        if self._shell.stdin:
            self._shell.stdin.close()
        self._output.close()


class Reader:
    """Goes through one page in a fresh folder, which looks like a clone of the repository."""

    def __init__(self, folder: Path, env: dict[str, str], port: int) -> None:
        self._folder, self._port = folder, port
        shutil.copytree(ROOT, folder, ignore=_LEFT_OUT, dirs_exist_ok=True)
        (folder / ".venv").symlink_to(sys.prefix)
        programs = Path(sys.executable).parent
        self._env = {
            **env,
            "PATH": f"{programs}:{env['PATH']}",
            "PYTHONUNBUFFERED": "1",
            # what run.py would read from the run file of the product
            "WHATSAPP_MINI_URL": f"http://127.0.0.1:{port}",
            "WHATSAPP_MINI_HOME": str(folder / ".data" / "terminal"),
        }
        self._terminals: dict[str, Terminal] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for terminal in self._terminals.values():
            terminal.close()

    def read(self, page: str) -> int:
        """Do what the page says.

        :returns: how many blocks were run
        """
        printed, count = "", 0
        for number, block in enumerate(blocks(page)):
            text = as_run(block.text, self._port)
            if block.language == "text":
                missing = [line for line in text.splitlines() if line.strip() and line not in printed]
                assert not missing, f"not printed: {missing}; but:\n{printed}"
            elif block.comment.startswith("file:"):
                (self._folder / block.comment.partition(":")[2].strip()).write_text(text, encoding="utf-8")
            elif _TERMINAL.fullmatch(block.comment):
                self._type(block, text)
                count += 1
            elif block.is_for_running and not block.reason and not block.other_test:
                printed = self._terminal("main").run(self._command(block, text, number))
                count += 1
        return count

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            self._terminals[name] = Terminal(name, self._folder, self._env)
        return self._terminals[name]

    def _type(self, block: Block, text: str) -> None:
        found = _TERMINAL.fullmatch(block.comment)
        assert found
        terminal, shown_in = self._terminal(found[1]), self._terminal(found[3] or found[1])
        since = len(shown_in.output)
        terminal.type(text)
        shown_in.await_text(found[2], since)

    def _command(self, block: Block, text: str, number: int) -> str:
        if block.language == "console":
            return "\n".join(line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ "))
        if block.language in ("sh", "bash"):
            return text
        ending, program = ("py", "python") if block.language == "python" else ("mjs", "node")
        name = f"block-{number}.{ending}"
        (self._folder / name).write_text(text, encoding="utf-8")
        return f"{program} {shlex.quote(name)}"
