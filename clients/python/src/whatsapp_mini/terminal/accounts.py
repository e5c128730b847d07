"""Where this machine keeps its accounts: a file for each server, number and device, readable by its owner alone."""

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import socket
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from whatsapp_mini import SqliteStore

_LONGEST_SOCKET: Final = 100
"""A Unix socket's path has at most 104 bytes on macOS, 108 on Linux."""


class AccountBusyError(Exception):
    """Another terminal has this account open."""


class UnsafeFolderError(Exception):
    """The folder cannot be made, or belongs to somebody else."""


@dataclass(frozen=True, slots=True)
class Account:
    """One person on one server, as one device of theirs."""

    folder: Path
    url: str
    mobile: str
    device: str

    @property
    def file(self) -> Path:
        """Session, history and what waits to be sent."""
        return self.folder / f"{self.mobile}{f'@{self.device}' if self.device else ''}.sqlite"

    def store(self) -> SqliteStore:
        """The client's store in it, which keeps the texts."""
        return SqliteStore(self.file, history=True)

    @property
    def socket(self) -> Path:
        """Where the process that has the account open takes messages from others."""
        beside = self.file.with_suffix(".socket")
        if len(os.fsencode(beside)) <= _LONGEST_SOCKET:
            return beside
        name = f"whatsapp-mini-{os.geteuid()}-{hashlib.sha256(os.fsencode(self.file)).hexdigest()[:12]}"
        return private_folder(Path(tempfile.gettempdir()) / name) / "socket"

    @property
    def is_known(self) -> bool:
        """Whether it was opened here before."""
        return self.file.exists()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Have it to oneself. The kernel lets go of the lock when the process dies, however that happens.

        :raises AccountBusyError: another process has it
        """
        private_folder(self.folder)
        (self.folder / "url").write_text(f"{self.url}\n", encoding="utf-8")
        with self.file.with_suffix(".lock").open("a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise AccountBusyError(f"{self.mobile} is open in another terminal.") from None
            self.file.touch(mode=0o600)  # before SQLite makes it, with the mode of the umask
            yield

    def is_busy(self) -> bool:
        """Whether another process has it open."""
        try:
            with self.opened():
                return False
        except AccountBusyError:
            return True


class Accounts:
    """All accounts of this machine, or of this folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def account(self, url: str, mobile: str, device: str = "") -> Account:
        """The account, whether it is known or not.

        :param device: a name for a second device of the same person on this machine; "" is the first
        """
        return Account(self.root / _slug(url), url, mobile, device)

    def known(self, device: str = "") -> list[Account]:
        """Those that were logged in here before, the one used last first."""
        files = sorted(self.root.glob("*/*.sqlite"), key=lambda file: file.stat().st_mtime, reverse=True)
        return [
            Account(file.parent, (file.parent / "url").read_text(encoding="utf-8").strip(), *_named(file))
            for file in files
            if _named(file)[1] == device and (file.parent / "url").exists() and _was_logged_in(file)
        ]

    def device_id(self, device: str = "") -> str:
        """By which the server knows this machine. It is made once: each new one would take one of five places."""
        private_folder(self.root)
        file = self.root / "device"
        with contextlib.suppress(FileExistsError), file.open("x", encoding="utf-8") as new:
            new.write(f"terminal-{secrets.token_hex(4)}\n")
        base = file.read_text(encoding="utf-8").strip()
        return f"{base}-{device}" if device else base


def _was_logged_in(file: Path) -> bool:
    """Whether something was ever kept in it. A wrong number, password or server leaves a file in which nothing is."""
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=10)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'account'").fetchone():
                return False
            return database.execute("SELECT 1 FROM account LIMIT 1").fetchone() is not None
    except sqlite3.DatabaseError:
        return True  # opening it says what is wrong with it


def home(environment: Mapping[str, str]) -> Path:
    """Where accounts are kept: ``WHATSAPP_MINI_HOME``, or where the XDG rules say that data of a person belongs."""
    if named := environment.get("WHATSAPP_MINI_HOME"):
        return Path(named).expanduser()
    data = environment.get("XDG_DATA_HOME", "")
    return (Path(data) if data.startswith("/") else Path.home() / ".local" / "share") / "whatsapp-mini"


def full_url(text: str) -> str:
    """A server's address as a person types it, with a scheme: ``http`` for this machine, else ``https``."""
    text = text.strip().rstrip("/")
    if "://" in text:
        return text
    host = urlsplit(f"//{text}").hostname or ""
    local = host in ("localhost", "::1") or host.startswith("127.")
    return f"{'http' if local else 'https'}://{text}"


def private_folder(path: Path) -> Path:
    """Make or check a folder that nobody else can look into.

    :raises UnsafeFolderError: when that cannot be had
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise UnsafeFolderError(f"{path} cannot be used as a folder: {error.strerror}.") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise UnsafeFolderError(f"{path} is not a folder of your own.")
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)
    return path


def device_name() -> str:
    """What a person sees of this machine in the list of their devices."""
    return f"Terminal on {socket.gethostname()}"[:64]


def _slug(url: str) -> str:
    """A name for the folder of a server."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", url.partition("://")[2].rstrip("/")) or "_"


def _named(file: Path) -> tuple[str, str]:
    mobile, _, device = file.stem.partition("@")
    return mobile, device
