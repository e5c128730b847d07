"""The package builds, and holds what it needs and nothing else."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parents[3] / "clients" / "python"
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def test_the_wheel(tmp_path: Path) -> None:
    copy = shutil.copytree(PACKAGE, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", BUILD, tmp_path], cwd=copy, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    files = (path for path in (PACKAGE / "src" / "whatsapp_mini").rglob("*.*") if path.suffix != ".pyc")
    expected = {str(path.relative_to(PACKAGE / "src")) for path in files}
    assert {name for name in names if name.startswith("whatsapp_mini/")} == expected
    assert {"whatsapp_mini/py.typed", "whatsapp_mini/core/core.py"} <= expected


def test_what_it_depends_on_is_what_its_readme_says() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {dependency.split(">")[0] for dependency in project["dependencies"]} == {"httpx", "websockets"}
    assert project["requires-python"] == ">=3.11"
