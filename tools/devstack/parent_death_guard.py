"""Become a command whose life is tied to its parent's:

    python -I -S parent_death_guard.py PARENT SIGNAL IDENTITY COMMAND…

A script of its own instead of ``preexec_fn``, which is unsafe once there are threads. ``IDENTITY`` is

- ``same``: stay who we are;
- ``userns``: in a new user namespace, where root is seen as ``nobody``. Files stay root's. PostgreSQL refuses uid 0,
  and some container platforms run us under a uid that has no name, which initdb refuses too;
- ``nobody``: really change to that user (for where user namespaces are forbidden).
"""

import ctypes  # imported before any change of identity: afterwards the interpreter's files may be out of reach
import os
import signal
import sys

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def libc_call(name: str, *arguments: int) -> None:
    """Call into libc.

    :raises OSError: with the call's errno
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def enter_user_namespace() -> None:
    """A namespace where our own uid and gid are called 65534."""
    uid, gid = os.geteuid(), os.getegid()
    libc_call("unshare", CLONE_NEWUSER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {uid} 1"),
        ("gid_map", f"{NOBODY} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def become_nobody() -> None:
    """Give root up for good."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def die_with(parent: int, number: int) -> None:
    """Ask the kernel to send us ``number`` when ``parent`` dies (Linux; elsewhere the next start clears up)."""
    if sys.platform == "linux":
        libc_call("prctl", PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(1)


def main(arguments: list[str]) -> None:
    """Change identity first: that clears the parent-death signal, so it is set last."""
    parent, number, identity, *command = arguments
    if identity == "userns":
        enter_user_namespace()
    elif identity == "nobody":
        become_nobody()
    die_with(int(parent), signal.Signals(int(number)))
    os.execvp(command[0], command)  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    main(sys.argv[1:])
