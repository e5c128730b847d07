"""One error body, whether a handler, the router of Sanic or its HTTP parser fails."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sanic import Request
from sanic.response import HTTPResponse

from handlers.errors import register_errors
from protocol.errors import ERRORS, ApiError
from tests.support.api import Api

A = "919800000001"
FIELDS = {"success", "message", "type", "title", "status", "code"}


def _is_the_error_body(body: dict[str, Any], status: int, code: str) -> None:
    assert set(body) - {"errors", "retryAfter"} == FIELDS
    assert ("retryAfter" in body) == (status in {429, 503})
    assert (body["success"], body["status"], body["code"]) == (False, status, code)
    assert body["type"].endswith(code)
    assert body["message"]


async def _raw(api: Api, request: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(65536), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, json.loads(body)


async def test_an_unknown_address_is_not_found(api: Api) -> None:
    answer = await api.client.get("/no/such/thing")
    assert answer.status_code == 404
    _is_the_error_body(answer.json(), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/auth/login", "POST"), ("POST", "/block-action/unblock", "DELETE"), ("PUT", "/profile/lastseen", "GET")],
)
async def test_a_wrong_method_gets_the_allowed_ones(api: Api, method: str, path: str, allow: str) -> None:
    answer = await api.client.request(method, path)
    assert answer.status_code == 405
    _is_the_error_body(answer.json(), 405, "method_not_allowed")
    assert allow in re.split(", *", answer.headers["allow"])


async def test_an_oversized_body_is_rejected_before_it_is_read(api: Api) -> None:
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 70000\r\n\r\n"
    status, _, body = await _raw(api, head)
    assert status == 413
    _is_the_error_body(body, 413, "body_too_large")


BROKEN = [
    (b"nonsense\r\n\r\n", 400, "bad_request"),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400, "bad_request"),
    (b"GET /h\xe9alth HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    (b"GET /health\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    (b"GET /he\talth HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    (b"GET health HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    (b"GET http://[x HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n", 400, "bad_request"),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431, "head_too_large"),
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
    (b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: tea\r\n\r\n", 400, "bad_request"),
]


async def test_broken_http_gets_the_same_body(api: Api, log_lines: list[str]) -> None:
    for request_, status, code in BROKEN:
        print(request_, status, code)
        seen, headers, body = await _raw(api, request_)
        assert seen == status
        assert headers["content-type"] == "application/json"
        _is_the_error_body(body, status, code)
        assert log_lines == []


class _Lines(logging.Handler):
    """Collects finished log lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.getLogger().handlers[0].formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log_lines(api: Api) -> Iterator[list[str]]:
    """What is logged from now on."""
    handler = _Lines()
    logging.getLogger().addHandler(handler)
    yield handler.lines
    logging.getLogger().removeHandler(handler)


async def test_our_own_bugs_are_logged_and_reveal_nothing(api: Api, log_lines: list[str]) -> None:
    async def explode(*_: object) -> HTTPResponse:
        raise KeyError("canary-in-an-exception")

    headers = await api.person(A)
    api.notes.presence.last_seen = explode  # type: ignore[assignment, method-assign]
    answer = await api.client.get(f"/profile/lastseen?mobileNo={A}", headers=headers)
    assert answer.status_code == 500
    _is_the_error_body(answer.json(), 500, "internal")
    assert "canary" not in answer.text
    (line,) = [line for line in log_lines if "a request failed" in line]
    assert "/profile/lastseen" in line
    assert A not in line


async def test_each_error_has_the_headers_of_its_status(api: Api) -> None:
    codes = iter(ERRORS)

    async def refuse(_request: Request, *_: object) -> int:
        raise ApiError(next(codes))

    headers = await api.person(A)
    api.notes.presence.last_seen = refuse  # type: ignore[assignment, method-assign]
    for code, rule in ERRORS.items():
        answer = await api.client.get(f"/profile/lastseen?mobileNo={A}", headers=headers)
        assert answer.status_code == rule.status
        _is_the_error_body(answer.json(), rule.status, code)
        assert answer.headers["cache-control"] == "no-store"
        assert ("www-authenticate" in answer.headers) == (rule.status == 401)
        assert ("retry-after" in answer.headers) == (rule.status in {429, 503})


async def test_handlers_are_registered_once(api: Api) -> None:
    with pytest.raises(Exception, match="Duplicate"):
        register_errors(api.app)
