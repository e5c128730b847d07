"""With what the embedded Valkey allocates memory: a library that only it has, or a sentence that says why not."""

import os
import platform
import shutil
import sys
from pathlib import Path

import pytest

from tools.devstack import allocator
from tools.devstack.allocator import PACKAGED, best_allocator
from tools.devstack.binaries import valkey_server
from tools.devstack.paths import socket_directory
from tools.devstack.valkey import Valkey

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"), reason="the package is not for this"
)
SYSTEM_JEMALLOC = next((path for pattern in allocator.SYSTEM for path in Path("/").glob(pattern[1:])), None)


@pytest.fixture(autouse=True)
def the_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the person who runs the tests has set."""
    for name in ("VALKEY_BIN", "LD_PRELOAD", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def valkey(tmp_path: Path) -> Valkey:
    """Not started. Its data and its sockets have a directory of their own."""
    return Valkey(tmp_path / "the data" / "valkey", socket_directory(tmp_path), appendonly=False)


def libraries_of(pid: int, part: str = "malloc") -> set[str]:
    """Names of the libraries in a process that have this part in their names."""
    maps = Path(f"/proc/{pid}/maps").read_text().split()
    return {Path(word).name for word in maps if part in Path(word).name}


def only(monkeypatch: pytest.MonkeyPatch, packaged: list[Path], *system: Path | None) -> None:
    """The package has put that library there, or is not installed; the system has these."""
    monkeypatch.setattr(allocator, "_packaged", lambda: packaged)
    monkeypatch.setattr(allocator, "SYSTEM", tuple(map(str, system)))


def test_the_package_is_in_the_server_and_nowhere_else(valkey: Valkey) -> None:
    before = dict(os.environ)
    valkey.start()
    try:
        assert libraries_of(valkey.pid) == {"libmimalloc.so.3"}
        assert valkey.allocator.told == "mimalloc"
        assert libraries_of(valkey.pid, "atomic") == set(), "the stand-in is taken: many systems have no libatomic"
        assert libraries_of(os.getpid()) == set()
        assert dict(os.environ) == before, "what is started next inherits nothing"
        assert os.listdir(valkey.socket.parent) == ["valkey.sock"], "nothing is left of the links"
    finally:
        valkey.stop()


def test_a_checkout_with_spaces_and_colons_in_its_path_has_it_too(
    valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (real,) = allocator._packaged()
    moved = tmp_path / "my: projects" / PACKAGED
    moved.parent.mkdir(parents=True)
    shutil.copy(real, moved)
    only(monkeypatch, [moved])
    valkey.start()
    try:
        assert valkey.allocator.is_used_by(valkey.pid)
    finally:
        valkey.stop()


@pytest.mark.skipif(SYSTEM_JEMALLOC is None, reason="the system has no jemalloc")
def test_without_the_package_a_jemalloc_of_the_system_is_taken_that_loads(
    valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_machines = tmp_path / "libjemalloc.so.2"
    other_machines.write_bytes(b"no library")
    only(monkeypatch, [], other_machines, SYSTEM_JEMALLOC)
    valkey.start()
    try:
        assert libraries_of(valkey.pid) == {"libjemalloc.so.2"}
        assert valkey.allocator.told == "the system's jemalloc"
    finally:
        valkey.stop()


def test_without_both_it_starts_and_says_so(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, [])
    valkey.start()
    try:
        assert libraries_of(valkey.pid) == set()
        assert valkey.allocator.told.startswith("the C library's")
        assert "cmeel-mimalloc is not installed" in valkey.allocator.told
    finally:
        valkey.stop()


def test_a_library_that_does_not_load_is_named_and_passed_over(
    valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "libjemalloc.so.2"
    broken.write_bytes(b"no library")
    only(monkeypatch, [], broken)
    valkey.start()
    try:
        assert f"{broken} cannot be loaded" in valkey.allocator.told
        assert "invalid ELF header" in valkey.allocator.told or "too short" in valkey.allocator.told
    finally:
        valkey.stop()


def test_a_library_that_is_not_in_the_process_is_not_claimed(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_preloading", lambda _library, _links: {})
    valkey.start()
    try:
        assert valkey.allocator.told.startswith("the C library's")
        assert "was not loaded" in valkey.allocator.told
    finally:
        valkey.stop()


def test_a_server_that_somebody_named_is_left_alone(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALKEY_BIN", str(valkey_server()))
    valkey.start()
    try:
        assert libraries_of(valkey.pid) == set()
        assert valkey.allocator.told == "its own"
    finally:
        valkey.stop()


def test_an_allocator_of_the_persons_own_choice_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "libm.so.6")
    with best_allocator(valkey_server(), tmp_path) as best:
        first, second = best.env["LD_PRELOAD"].split(":")
    assert (first, Path(second).name) == ("libm.so.6", "libmimalloc.so.3")
