"""Sockets live where nobody else can come, and where the kernel can name them."""

import os
import stat
from pathlib import Path

import pytest

from tools.devstack.paths import LONGEST, UnsafePathError, private_directory, socket_directory


@pytest.mark.parametrize("name", ["x" * 120, "with space"])
def test_a_long_path_or_one_to_quote_moves_the_socket_elsewhere(tmp_path: Path, name: str) -> None:
    data = tmp_path / name
    data.mkdir()
    place = socket_directory(data)
    try:
        assert not place.is_relative_to(tmp_path)
        assert len(str(place)) <= LONGEST
        assert " " not in str(place)
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert socket_directory(data) == place, "a next start must find it again"
    finally:
        place.rmdir()


def test_two_data_directories_never_share_a_socket(tmp_path: Path) -> None:
    places = []
    for name in ("a b", "a c"):
        (tmp_path / name).mkdir()
        places.append(socket_directory(tmp_path / name))
    for place in places:
        place.rmdir()
    assert places[0] != places[1]


def test_an_open_directory_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    assert stat.S_IMODE(private_directory(tmp_path / "open").stat().st_mode) == 0o700


def test_a_planted_link_is_not_taken_for_our_directory(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "mine").symlink_to(tmp_path / "theirs")
    with pytest.raises(UnsafePathError):
        private_directory(tmp_path / "mine")


def test_someone_elses_directory_is_refused(tmp_path: Path) -> None:
    theirs = Path("/usr")
    if os.geteuid() == 0:
        theirs = tmp_path / "theirs"
        theirs.mkdir()
        os.chown(theirs, 65534, -1)
    with pytest.raises(UnsafePathError):
        private_directory(theirs)
