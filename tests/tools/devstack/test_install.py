"""The virtual environment: kept when it is good, made anew when it is not. (pip itself is not run here.)"""

import sys
from pathlib import Path

import pytest

from tools.devstack import install


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The Python of an environment that has just been installed."""
    place = tmp_path / ".venv"
    names = {"STAMP": "installed", "UNFINISHED": "unfinished"}
    monkeypatch.setattr(install, "VENV", place)
    for name, file in names.items():
        monkeypatch.setattr(install, name, place / file)
    python = place / "bin" / "python"
    install._make_environment(python, with_pip=False)
    install.STAMP.write_text(install._wanted())
    (place / "mark").touch()
    return python


def kept(python: Path) -> bool:
    install._make_environment(python, with_pip=False)
    assert python.exists()
    return (install.VENV / "mark").exists()


def test_a_good_environment_is_used_as_it_is(python: Path) -> None:
    assert install._stamped()
    assert kept(python)


def test_one_that_pip_left_half_done_is_thrown_away(python: Path) -> None:
    install.UNFINISHED.touch()
    assert not kept(python)


def test_one_from_another_place_is_thrown_away(python: Path) -> None:
    install.STAMP.write_text(install._wanted().replace(str(install.VENV), "/elsewhere/.venv"))
    assert not install._stamped()
    assert not kept(python)


def test_one_whose_python_is_gone_is_thrown_away(python: Path) -> None:
    for link in python.parent.glob("python*"):
        link.unlink()
    assert not kept(python)


def test_new_locks_are_installed_over_it(python: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("something==1.0\n")
    monkeypatch.setattr(install, "LOCKS", (lock,))
    assert not install._stamped()
    assert kept(python)


def test_it_is_done_only_when_pip_is(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install.STAMP.unlink()
    monkeypatch.setattr(install, "_pip", lambda: [sys.executable, "-c", "import sys; print('no luck'); sys.exit(9)"])
    with pytest.raises(SystemExit, match=r"no luck(.|\n)*code 9"):
        install.ready_python()
    assert install.UNFINISHED.exists()
    assert not install._stamped()

    monkeypatch.setattr(install, "_pip", lambda: [sys.executable, "-c", "print('Collecting something')"])
    assert install.ready_python() == python
    assert not install.UNFINISHED.exists()
    assert install._stamped()


@pytest.mark.parametrize("extra", ["bench", "browser"])
def test_what_only_some_commands_need_is_installed_for_them_alone(
    python: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, extra: str
) -> None:
    asked = tmp_path / "asked"
    script = f"import sys; open({str(asked)!r}, 'a').write(' '.join(sys.argv) + chr(10))"
    monkeypatch.setattr(install, "_pip", lambda: [sys.executable, "-c", script])
    install.ready_python()
    assert not asked.exists()
    install.ready_python(**{extra: True})
    (line,) = asked.read_text().splitlines()
    assert [name for name in ("bench", "browser") if f"requirements/{name}.txt" in line] == [extra]
    install.ready_python(**{extra: True})
    install.ready_python()
    assert len(asked.read_text().splitlines()) == 1


def test_new_locks_of_the_product_are_new_for_the_benchmark_too(
    python: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    script = f"import sys; open({str(asked)!r}, 'a').write('once' + chr(10))"
    monkeypatch.setattr(install, "_pip", lambda: [sys.executable, "-c", script])
    install.ready_python(bench=True)
    lock = tmp_path / "requirements.txt"
    lock.write_text("something==1.0\n")
    monkeypatch.setattr(install, "LOCKS", (lock,))
    install.ready_python(bench=True)
    assert len(asked.read_text().splitlines()) == 3
