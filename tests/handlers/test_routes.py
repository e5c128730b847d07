"""HEAD where there is a GET, OPTIONS everywhere, and a 405 that says what would have been taken."""

import asyncio

import pytest

from handlers import ROUTES, options, served
from handlers.readiness import Check
from tests.support.api import Api

A = "919800000001"
FILES = {
    "/web/<name:str>": "/web/style.css",
    "/docs/<name:str>": "/docs/docs.css",
    "/v1/sessions/<id:str>": "/v1/sessions/x",
    "/v1/devices/<device_id:str>": "/v1/devices/x",
}
PATHS = sorted({FILES.get(path, path) for _, path, _ in ROUTES})
READ = sorted({FILES.get(path, path) for method, path, _ in ROUTES if method == "GET"})
CHANGED = sorted({FILES.get(path, path) for method, path, _ in ROUTES if method != "GET"} - set(READ))


async def raw(api: Api, said: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers, and whatever comes behind them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(said.encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    return int(first.split(" ")[1]), dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("known", [True, False])
async def test_head_is_get_without_the_body(api: Api, known: bool) -> None:
    headers = await api.person(A) if known else {}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    for path in (*READ, "/web/nothing"):
        for query in ("", "?mobileNo=" + A):
            print(path, query)
            rest = f" {path}{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n"
            status, said, body = await raw(api, "GET" + rest)
            assert body
            assert await raw(api, "HEAD" + rest) == (status, said, b"")
            assert said.get("transfer-encoding") == "chunked" or said["content-length"] == str(len(body))


async def test_head_leaves_the_connection_usable(api: Api) -> None:
    one = "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"
    status, _, rest = await raw(api, one + "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status == 200
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_head_of_a_cached_page_is_304(api: Api) -> None:
    etag = (await api.client.head("/")).headers["etag"]
    assert (await api.client.head("/", headers={"If-None-Match": etag})).status_code == 304


async def test_head_is_ready_only_when_get_is(api: Api) -> None:
    api.notes.readiness.checks["redis"] = Check("It sleeps.")
    assert (await api.client.head("/ready")).status_code == 503


async def test_options_lists_the_methods_of_a_path(api: Api) -> None:
    for path in PATHS:
        print(path)
        answer = await api.client.options(path)
        assert (answer.status_code, answer.content) == (204, b"")
        allowed = answer.headers["allow"].split(", ")
        assert "OPTIONS" in allowed
        assert ("HEAD" in allowed) == ("GET" in allowed) == (path in READ)
        refused = await api.client.request("PUT" if "PATCH" in allowed else "PATCH", path)
        assert (refused.status_code, refused.json()["code"]) == (405, "method_not_allowed")
        assert sorted(refused.headers["allow"].split(", ")) == sorted(allowed)


async def test_what_changes_something_has_no_head(api: Api) -> None:
    for path in CHANGED:
        print(path)
        answer = await api.client.head(path)
        assert answer.status_code == 405
        assert "HEAD" not in answer.headers["allow"]


async def test_the_health_check_of_haproxy_works(api: Api) -> None:
    status, headers, _ = await raw(api, "OPTIONS / HTTP/1.0\r\n\r\n")
    assert (status, headers["Allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_options_of_an_unknown_path_is_404(api: Api) -> None:
    answer = await api.client.options("/nowhere")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_only_get_serves_head_too() -> None:
    assert [served(method) for method in ("GET", "POST")] == [["GET", "HEAD"], ["POST"]]
    assert callable(options(["GET"]))
