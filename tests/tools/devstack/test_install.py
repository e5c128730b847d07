"""The virtual environment: kept when it is good, made anew when it is not. (No package is fetched here.)"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.devstack import install


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The Python of an environment that has just been installed for the product; locks of its own; no uv."""
    place = tmp_path / ".venv"
    monkeypatch.setattr(install, "VENV", place)
    monkeypatch.setattr(install, "STAMP", place / "installed")
    monkeypatch.setattr(install, "UNFINISHED", place / "unfinished")
    locks = {layer: tmp_path / f"{layer}.txt" for layer in install.LOCKS}
    for layer, lock in locks.items():
        lock.write_text(f"{layer}==1.0\n")
    monkeypatch.setattr(install, "LOCKS", locks)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    python = place / "bin" / "python"
    install._make_environment(python, with_pip=False)
    install.STAMP.write_text("\n".join([install._place(), *map(install._digest, install.RUN)]))
    (place / "mark").touch()
    return python


@pytest.fixture
def calls(python: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[str]]:
    """Nothing is installed, but the command lines of pip are recorded."""
    asked = tmp_path / "asked"
    script = f"import sys; open({str(asked)!r}, 'a').write(' '.join(sys.argv) + chr(10)); print('Collecting a')"
    monkeypatch.setattr(install, "_pip", lambda: [sys.executable, "-c", script])
    return lambda: asked.read_text().splitlines() if asked.exists() else []


def kept(python: Path) -> bool:
    install._make_environment(python, with_pip=False)
    assert python.exists()
    return (install.VENV / "mark").exists()


def test_a_good_environment_is_used_as_it_is(python: Path, calls: Callable[[], list[str]]) -> None:
    assert install.ready_python() == python
    assert kept(python)
    assert calls() == []


def test_one_that_pip_left_half_done_is_thrown_away(python: Path) -> None:
    install.UNFINISHED.touch()
    assert not kept(python)


def test_one_from_another_place_is_thrown_away(python: Path) -> None:
    install.STAMP.write_text(install.STAMP.read_text().replace(str(install.VENV), "/elsewhere/.venv"))
    assert install._missing(install.RUN) == list(install.RUN)
    assert not kept(python)


def test_one_whose_python_is_gone_is_thrown_away(python: Path) -> None:
    for link in python.parent.glob("python*"):
        link.unlink()
    assert not kept(python)


def test_new_locks_are_installed_over_it(python: Path, calls: Callable[[], list[str]]) -> None:
    install.LOCKS["product"].write_text("something==1.0\n")
    install.ready_python()
    assert len(calls()) == 1
    assert (install.VENV / "mark").exists()
    assert install._missing(install.RUN) == []


def test_it_is_done_only_when_pip_is(
    python: Path, calls: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    install.STAMP.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(install, "_pip", lambda: [sys.executable, "-c", "import sys; print('no luck'); sys.exit(9)"])
        with pytest.raises(SystemExit, match=r"no luck(.|\n)*code 9"):
            install.ready_python()
    assert install.UNFINISHED.exists()
    assert install._missing(install.RUN) == list(install.RUN)

    assert install.ready_python() == python
    assert not install.UNFINISHED.exists()
    assert install._missing(install.RUN) == []


@pytest.mark.parametrize("extra", ["dev", "bench", "browser", "docs", "node", "terminal"])
def test_a_layer_is_installed_when_it_is_asked_for(
    python: Path, calls: Callable[[], list[str]], capsys: pytest.CaptureFixture[str], extra: str
) -> None:
    install.ready_python(extra)
    (line,) = calls()
    layers = ("dev", "bench", "browser", "docs", "node", "terminal")
    assert [name for name in layers if str(install.LOCKS[name]) in line] == [extra]
    assert install.EXPECTATION[extra] in capsys.readouterr().out
    install.ready_python(extra)
    install.ready_python()
    assert len(calls()) == 1


def test_one_layer_made_anew_leaves_the_others(python: Path, calls: Callable[[], list[str]]) -> None:
    install.ready_python("dev")
    install.LOCKS["product"].write_text("something==1.0\n")
    install.ready_python()
    install.ready_python("dev")
    assert len(calls()) == 2


def test_uv_is_used_where_it_is(
    python: Path, calls: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\necho $* > {tmp_path}/uv-asked\n")
    uv.chmod(0o755)
    monkeypatch.setattr(shutil, "which", {"uv": str(uv)}.get)
    install.ready_python("dev")
    asked = (tmp_path / "uv-asked").read_text()
    assert f"--python {python} --require-hashes" in asked
    assert str(install.LOCKS["dev"]) in asked
    assert calls() == []


def test_where_uv_fails_pip_has_its_turn_in_a_new_environment(
    python: Path,
    calls: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no such index\nexit 2\n")
    uv.chmod(0o755)
    monkeypatch.setattr(shutil, "which", {"uv": str(uv)}.get)
    install.ready_python("dev")
    assert "uv failed (code 2), so pip is tried: no such index" in capsys.readouterr().out
    assert len(calls()) == 1
    assert not (install.VENV / "mark").exists()
    assert install._missing(("dev", *install.RUN)) == []


def test_one_of_another_user_is_refused_in_a_sentence(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path) -> bool:
        raise PermissionError(13, os.strerror(13), str(python))

    with monkeypatch.context() as patched:  # the tests may run as root, which may write anywhere
        patched.setattr(Path, "exists", refuse)
        with pytest.raises(SystemExit, match=r"\.venv/bin/python cannot be read: another user made it"):
            install.ready_python()


def test_what_cannot_be_written_is_refused_in_a_sentence(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13))

    install.UNFINISHED.touch()
    monkeypatch.setattr("venv.create", refuse)
    with pytest.raises(SystemExit, match=r"\.venv cannot be set up: Permission denied"):
        install.ready_python()
