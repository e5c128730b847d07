"""Ports and addresses; the rest of it is seen in test_launcher.py."""

import socket
from pathlib import Path

import pytest

from tools.devstack.options import Options
from tools.devstack.probe import free_port
from tools.devstack.serving import _reachable, choose_port


def options(port: int) -> Options:
    return Options("127.0.0.1", port, 1, Path("unused"), None)


def test_a_free_port_is_taken_as_wished(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert choose_port(options(port)) == port
    assert capsys.readouterr().out == ""


def test_a_taken_port_is_passed_over_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        chosen = choose_port(options(port))
    assert chosen != port
    assert f"{port} is taken, so {chosen}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - nobody listens
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("127.0.0.1", "127.0.0.1"),
        ("my.host", "my.host"),
    ],
)
def test_an_address_to_listen_on_becomes_one_to_click(host: str, reached: str) -> None:
    assert _reachable(host) == reached
