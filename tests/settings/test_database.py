"""What becomes of DATABASE_URL."""

from typing import Any

import pytest

from settings.database import tortoise_orm


def _credentials(url: str) -> dict[str, Any]:
    found: dict[str, Any] = tortoise_orm(url, 7)["connections"]["default"]["credentials"]
    return found


def test_an_ordinary_url() -> None:
    found = _credentials("postgres://us%40er:p%2Fw@db.example:5433/name")
    assert {key: found[key] for key in ("host", "port", "user", "password", "database", "maxsize")} == {
        "host": "db.example",
        "port": 5433,
        "user": "us@er",
        "password": "p/w",
        "database": "name",
        "maxsize": 7,
    }


def test_a_socket_directory_with_spaces() -> None:
    found = _credentials("postgres://wm@/wm?host=/a%20b/sockets")
    assert (found["host"], found["user"], found["password"]) == ("/a b/sockets", "wm", None)


def test_defaults() -> None:
    found = _credentials("postgres://localhost/name")
    assert (found["host"], found["port"], found["user"]) == ("localhost", 5432, "postgres")


@pytest.mark.parametrize("key", ["timeout", "command_timeout"])
def test_nothing_waits_for_ever(key: str) -> None:
    assert 0 < _credentials("postgres://localhost/name")[key] <= 2
