"""Directories for sockets: only ours to enter, and short enough for the kernel."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

# sun_path holds 104 bytes on macOS, 108 on Linux; ".s.PGSQL.5432" and a slash need 14 of them.
LONGEST = 104 - 15
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")


class UnsafePathError(Exception):
    """A directory is not ours alone, or of no use to us."""


def private_directory(path: Path) -> Path:
    """Make or check a directory that nobody else can enter.

    :raises UnsafePathError: when it is a link, or someone else's, or cannot be made
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnsafePathError(f"{path} cannot be used as a directory: {error.strerror}") from None
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise UnsafePathError(f"{path} is not a directory of our own")
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)
    return path


def fallback_name(data: Path) -> str:
    """The same name for the same data directory and user every time, so that a next start finds left-overs."""
    return f"wm-{os.geteuid()}-{hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]}"


def socket_directory(data: Path) -> Path:
    """A private directory for sockets: in ``data``; or a temporary one, when that path is too long, or has characters
    that would need quoting in a URL (not every reader of such URLs unquotes them)."""
    wished = data.resolve() / "sockets"
    if len(os.fsencode(wished)) <= LONGEST and _PLAIN.fullmatch(str(wished)):
        return private_directory(wished)
    for root in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - private_directory checks the owner
        place = root.resolve() / fallback_name(data)
        if len(os.fsencode(place)) <= LONGEST and _PLAIN.fullmatch(str(place)):
            return private_directory(place)
    raise UnsafePathError("No temporary directory with a short, plain path")
