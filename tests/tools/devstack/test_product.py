"""The product's own commands."""

from pathlib import Path

import pytest

from tools.devstack import product
from tools.devstack.process import ChildError
from tools.devstack.product import Product, log_file


def test_a_grown_log_moves_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "KEEP_LOG_BYTES", 10)
    path = log_file(tmp_path, "app")
    path.write_text("short")
    assert log_file(tmp_path, "app").exists()
    path.write_text("much longer than that")
    assert not log_file(tmp_path, "app").exists()
    assert (tmp_path / "app.log.1").read_text() == "much longer than that"


def test_migrating_is_repeatable(env: dict[str, str], tmp_path: Path) -> None:
    Product(env, tmp_path).migrate()
    Product(env, tmp_path).migrate()


def test_a_database_that_is_not_there_is_told(env: dict[str, str], tmp_path: Path) -> None:
    nowhere = {**env, "DATABASE_URL": env["DATABASE_URL"].replace("/test_", "/none_")}
    with pytest.raises(ChildError, match="could not be brought up to date"):
        Product(nowhere, tmp_path).migrate()
