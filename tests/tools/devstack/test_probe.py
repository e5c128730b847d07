"""Ports and answers."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tools.devstack import probe
from tools.devstack.probe import free_port, http_status, port_is_free


class Teapot(BaseHTTPRequestHandler):
    """Answers 418 to everything."""

    def do_GET(self) -> None:
        self.send_response(418)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """In silence."""


@pytest.fixture
def teapot() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Teapot) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_status_is_returned(teapot: int) -> None:
    assert http_status(f"http://127.0.0.1:{teapot}/any") == 418


def test_nobody_is_nought() -> None:
    assert http_status(f"http://127.0.0.1:{free_port()}/") == 0


def test_silence_is_nought_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert http_status(f"http://127.0.0.1:{mute.getsockname()[1]}/", 0.2) == 0


def test_what_is_not_http_is_nought() -> None:
    with socket.create_server(("127.0.0.1", 0)) as odd:
        threading.Thread(target=lambda: odd.accept()[0].sendall(b"SSH-2.0\r\n\r\n"), daemon=True).start()
        assert http_status(f"http://127.0.0.1:{odd.getsockname()[1]}/", 1) == 0


def test_a_port_in_use_is_not_free(teapot: int) -> None:
    assert not port_is_free("127.0.0.1", teapot)
    assert port_is_free("127.0.0.1", free_port())


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PORTS", (22_700, 22_760))
    ports = [free_port() for _ in range(25)]
    assert len(set(ports)) == len(ports)
