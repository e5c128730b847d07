"""Where programs are looked for, and in which order."""

from pathlib import Path

import pytest

from tools.devstack.binaries import MissingServerError, postgres_folder, valkey_server


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_named_program_goes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = program(tmp_path / "my-redis")
    monkeypatch.setenv("VALKEY_BIN", str(mine))
    assert valkey_server() == mine
    program(tmp_path / "bin" / "postgres")
    monkeypatch.setenv("POSTGRES_BIN", str(tmp_path / "bin"))
    assert postgres_folder() == tmp_path / "bin"


def test_a_wrong_name_is_not_passed_over_in_silence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VALKEY_BIN", str(tmp_path / "none"))
    with pytest.raises(MissingServerError, match="VALKEY_BIN"):
        valkey_server()
    monkeypatch.setenv("POSTGRES_BIN", str(tmp_path))
    with pytest.raises(MissingServerError, match="POSTGRES_BIN"):
        postgres_folder()


def test_without_wheels_the_path_is_searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tools.devstack.binaries._package", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    redis, postgres = program(tmp_path / "redis-server"), program(tmp_path / "postgres")
    program(tmp_path / "initdb")
    assert valkey_server() == redis
    assert postgres_folder() == postgres.parent


def test_with_nothing_at_all_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tools.devstack.binaries._package", lambda _name: None)
    monkeypatch.setattr("tools.devstack.binaries.glob.glob", lambda _pattern: [])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingServerError, match="REDIS_URL"):
        valkey_server()
    with pytest.raises(MissingServerError, match="DATABASE_URL"):
        postgres_folder()
