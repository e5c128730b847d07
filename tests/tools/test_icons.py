"""The icon in ``web/icons/`` is the one that the tool draws, and the manifest names it rightly."""

import json
import struct
import zlib
from pathlib import Path

import pytest

from tools.icons import FILES, FOLDER, icon, png, svg, write

MANIFEST = json.loads((FOLDER.parent / "manifest.webmanifest").read_text())


def pixels(picture: bytes) -> bytes:
    """What is in its one IDAT chunk, unpacked: how well it was packed differs between versions of zlib."""
    start = picture.index(b"IDAT") + 4
    length = int.from_bytes(picture[start - 8 : start - 4], "big")
    return zlib.decompress(picture[start : start + length])


def test_what_is_kept_is_what_is_drawn() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FILES)
    assert (FOLDER / "icon.svg").read_text() == svg(icon())
    assert pixels((FOLDER / "icon-192.png").read_bytes()) == pixels(png(icon(), 192))


def test_a_picture_has_round_corners_unless_the_system_cuts_them() -> None:
    for radius, alpha in ((22, 0), (0, 255)):
        rows = pixels(png(icon(radius), 16))
        corner, middle = rows[1:5], rows[8 * 65 + 1 + 8 * 4 :][:4]
        assert (corner[3], middle[3]) == (alpha, 255)


@pytest.mark.parametrize("named", MANIFEST["icons"], ids=lambda named: str(named["src"]))
def test_the_manifest_names_them_with_their_sizes(named: dict[str, str]) -> None:
    kept = (FOLDER.parent / named["src"]).read_bytes()
    if named["type"] == "image/png":
        assert struct.unpack(">II", kept[16:24]) == tuple(map(int, named["sizes"].split("x")))
    else:
        assert (named["sizes"], kept[:4]) == ("any", b"<svg")


def test_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.icons.FILES", {"a.svg": lambda: b"<svg"})
    assert list(write(tmp_path / "new")) == ["a.svg"]
    assert (tmp_path / "new" / "a.svg").read_bytes() == b"<svg"
