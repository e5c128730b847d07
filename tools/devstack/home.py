"""Who PostgreSQL runs as, and so where it can live: it refuses to run as root."""

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.devstack.binaries import MissingServerError, postgres_folder
from tools.devstack.places import fallback_name, private_directory, socket_directory
from tools.devstack.process import TETHER
from tools.devstack.tether import NOBODY


@dataclass(frozen=True)
class PostgresHome:
    """``identity`` is tether.py's word; ``data`` holds the cluster, ``sockets`` its socket."""

    identity: str
    data: Path
    sockets: Path
    programs: Path


def postgres_home(data: Path) -> PostgresHome:
    """Where PostgreSQL can live for the data directory ``data``.

    Usually inside it. Only root without user namespaces (Docker's default) has to move out to where ``nobody`` can
    read and write.
    """
    identity = _identity()
    if identity == "nobody":
        return _home_of_nobody(data)
    return PostgresHome(identity, data.resolve() / "postgres", socket_directory(data), postgres_folder())


def run_as(identity: str, *command: str | Path) -> bool:
    """Whether a short command succeeds under that identity."""
    tether = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), "9", identity]
    return (
        subprocess.run(
            [*tether, *map(str, command)], cwd="/", capture_output=True, stdin=subprocess.DEVNULL, check=False
        ).returncode
        == 0
    )


def _identity() -> str:
    if sys.platform != "linux" or (os.geteuid() != 0 and _has_name(os.geteuid())):
        return "same"
    if run_as("userns", "true"):
        return "userns"
    return "nobody" if os.geteuid() == 0 else "same"


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _home_of_nobody(data: Path) -> PostgresHome:
    place = private_directory(Path("/var/tmp") / fallback_name(data))  # noqa: S108 - the owner is checked
    place.chmod(0o711)  # nobody has to get through to what is his
    house = place / "nobody"
    if not house.exists():
        house.mkdir(mode=0o700)
        os.chown(house, NOBODY, NOBODY)
    programs = postgres_folder()
    if not run_as("nobody", programs / "postgres", "--version"):
        programs = _copy_programs(programs, place)
    return PostgresHome("nobody", house / "postgres", house, programs)


def _copy_programs(programs: Path, place: Path) -> Path:
    """Copy the wheel's tree, libraries beside it and all (they are found by relative path)."""
    package = programs.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.is_dir():
        raise MissingServerError(f"PostgreSQL cannot run as root, and the user nobody cannot read {programs}.")
    target = place / package.name / programs.parent.name
    shutil.copytree(programs.parent, target, dirs_exist_ok=True, symlinks=True)
    shutil.copytree(libraries, place / libraries.name, dirs_exist_ok=True, symlinks=True)
    return target / programs.name
