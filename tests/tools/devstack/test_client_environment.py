"""What run.py gives to the Python client."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.devstack.client_environment import SOURCE, client_environment
from tools.devstack.options import ROOT


def test_the_server_is_the_one_that_runs(tmp_path: Path) -> None:
    assert "WHATSAPP_MINI_URL" not in client_environment({}, tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:5007"}))
    assert client_environment({}, tmp_path)["WHATSAPP_MINI_URL"] == "http://127.0.0.1:5007"


@pytest.mark.parametrize("name", ["WHATSAPP_MINI_HOME", "WHATSAPP_MINI_URL"])
def test_what_the_person_has_set_stays(name: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:5007"}))
    assert name in client_environment({}, tmp_path)
    assert name not in client_environment({name: "mine"}, tmp_path)


def test_accounts_are_beside_the_data(tmp_path: Path) -> None:
    assert client_environment({}, tmp_path)["WHATSAPP_MINI_HOME"] == str(tmp_path / "terminal")


def test_the_package_is_found_first(tmp_path: Path) -> None:
    assert client_environment({}, tmp_path)["PYTHONPATH"] == str(SOURCE)
    assert client_environment({"PYTHONPATH": "/mine"}, tmp_path)["PYTHONPATH"] == f"{SOURCE}:/mine"
    assert (SOURCE / "whatsapp_mini" / "__init__.py").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["chat", "--help"], 0, "usage: run.py chat"),
        (["send", "--help"], 0, "exit codes"),
        (["listen", "--help"], 0, "--watch NUMBER"),
        (["send"], 2, "the following arguments are required: NUMBER"),
        (["chat", "me"], 2, "'me' is no mobile number"),
        (["send", "919800000001", "hello", "--timeout", "nan"], 2, "'nan' is no number of seconds above 0"),
    ],
)
def test_help_and_typing_errors_install_nothing(tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    for name in ("run.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("tools", "clients/python"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    # Without packages, as on a machine where nothing was installed yet.
    command = [sys.executable, "-S", "run.py", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, says in done.stdout + done.stderr) == (code, True), done
    assert not (tmp_path / ".venv").exists()
