"""Asha and Ravi."""

import stat
from pathlib import Path

import pytest

from tests.support.people import new_mobile
from tests.support.stack import ServerGroup
from tools.demo.people import DemoPerson, prepare, read, sign_up
from tools.devstack.paths import UnsafePathError
from tools.devstack.probe import free_port
from tools.devstack.process import ChildError


def test_they_stay_the_same_until_everything_is_forgotten(tmp_path: Path) -> None:
    prepare(tmp_path, fresh=False)
    first = read(tmp_path)
    assert [each.name for each in first.people] == ["Asha", "Ravi"]
    assert len({each.password for each in first.people}) == 2
    assert stat.S_IMODE((tmp_path / "demo.json").stat().st_mode) == 0o600
    prepare(tmp_path, fresh=False)
    assert read(tmp_path) == first

    (tmp_path / "valkey").mkdir()
    (tmp_path / "jwt_secret").touch()
    prepare(tmp_path, fresh=True)
    assert read(tmp_path).instance != first.instance
    assert not (tmp_path / "valkey").exists()
    assert (tmp_path / "jwt_secret").exists()


def test_they_sign_up_once_and_keep_their_accounts(single_server: ServerGroup) -> None:
    people = tuple(DemoPerson(phone, "Asha", new_mobile(), "correct horse") for phone in "ab")
    sign_up(single_server.url, people)
    sign_up(single_server.url, people)
    with pytest.raises(ChildError, match="Asha could not sign up: "):
        sign_up(single_server.url, (DemoPerson("a", "Asha", "1", "correct horse"),))
    with pytest.raises(ChildError, match="Asha could not sign up: "):
        sign_up(f"http://127.0.0.1:{free_port()}", people)


@pytest.mark.parametrize("fresh", [True, False])
def test_what_is_not_the_demos_is_left_alone(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "valkey").mkdir()
    with pytest.raises(UnsafePathError, match="is not the demo's"):
        prepare(tmp_path, fresh=fresh)
    assert (tmp_path / "valkey").exists()
