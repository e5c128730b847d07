"""What servers from packages need: a directory, the user they want to be, and a wait until they serve."""

import asyncio
import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import Final

from tools.devstack.probe import port_is_free
from tools.devstack.process import Child

READY_SECONDS: Final = 60.0


class Home:
    """A temporary directory that belongs to a user of the system (to ourselves, when we are not root)."""

    def __init__(self, user: str) -> None:
        self._user = user if os.geteuid() == 0 else None
        self.path = Path(tempfile.mkdtemp(prefix=f"wm-bench-{user}-"))
        self.log = self.path / "output.log"
        self._own(self.path)

    def _own(self, path: Path) -> None:
        if self._user:
            shutil.chown(path, self._user, self._user)

    def folder(self, name: str) -> Path:
        """A folder in it."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        self._own(path)
        return path

    def write(self, name: str, text: str) -> Path:
        """A file in it."""
        path = self.path / name
        path.write_text(text, encoding="utf-8")
        self._own(path)
        return path

    def remove(self) -> None:
        """With everything in it."""
        shutil.rmtree(self.path)


def as_user(user: str) -> list[str]:
    """What to put before a command so that it runs as that user: these servers refuse to be root."""
    if os.geteuid() != 0:
        return []
    group = str(pwd.getpwnam(user).pw_gid)
    # The change of user clears the signal that ties a child to us: set it again.
    return ["setpriv", "--pdeathsig=KILL", f"--reuid={user}", f"--regid={group}", "--init-groups"]


def ready(child: Child, port: int) -> None:
    """Wait until it listens.

    :raises ChildError: when it does not come up
    """
    child.await_ready(lambda: not port_is_free("127.0.0.1", port), READY_SECONDS)


async def package_version(name: str) -> str:
    """As dpkg knows it; empty where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return ""
    process = await asyncio.create_subprocess_exec(
        "dpkg-query", "-W", "-f=${Version}", name, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode()
