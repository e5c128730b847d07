"""What run.py gives to the Python client."""

import json
import os
from pathlib import Path

import pytest

from tools.devstack.client_environment import SOURCE, client_environment


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
