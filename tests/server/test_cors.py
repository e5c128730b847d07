"""Pages of other origins: those that are listed may use HTTP, and others may not. (With the product's routes.)"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from handlers.readiness import Check
from tests.support.api import PASSWORD, Api, make_settings, serve

A = "919800000001"
LISTED, SECOND, FOREIGN = "http://localhost:5500", "https://chat.example.org", "https://elsewhere.example"
ASKED = "Access-Control-Request-"
GIVEN = "access-control-"


@pytest.fixture
async def api(redis: object, valkey_url: str, database_url: str) -> AsyncIterator[Api]:
    knobs = {"cors_origins": f"{LISTED}, {SECOND}"}
    async with serve(make_settings(valkey_url, database_url, **knobs)) as running:
        yield running


def given(headers: object) -> dict[str, str]:
    """The CORS headers of an answer."""
    return {name.lower(): value for name, value in dict(headers).items() if name.lower().startswith(GIVEN)}  # type: ignore[call-overload]


def preflight(origin: str, method: str = "POST", headers: str = "authorization,content-type") -> dict[str, str]:
    return {"Origin": origin, f"{ASKED}Method": method, f"{ASKED}Headers": headers}


PATHS = ["/auth/signin", "/auth/login", "/block-action/unblock", "/profile/lastseen", "/health", "/", "/web/app.js"]


@pytest.mark.parametrize("origin", [LISTED, SECOND])
async def test_a_preflight_is_answered_on_every_path(api: Api, origin: str) -> None:
    for path in (*PATHS, "/nowhere", "/web/nothing", "/_socket"):
        answer = await api.client.options(path, headers=preflight(origin))
        assert (answer.status_code, answer.content) == (204, b""), path
        said = given(answer.headers)
        assert said.pop("access-control-allow-methods").split(", ") == (
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        )
        assert said == {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-allow-headers": "authorization,content-type",
            "access-control-max-age": "7200",
        }, path
        assert answer.headers["vary"] == "Origin, Access-Control-Request-Headers"


async def test_a_page_signs_up_logs_in_and_reads_what_it_is_told(api: Api) -> None:
    origin = {"Origin": LISTED}
    form = {"name": "Asha", "mobileNo": A, "password": PASSWORD}
    answers = [await api.client.post("/auth/signin", json=form, headers=origin) for _ in range(2)]
    answers.append(await api.client.post("/auth/login", json=form, headers=origin))
    token = {"Authorization": f"Bearer {answers[-1].json()['token']}"}
    answers.append(await api.client.get("/block-action/list", headers=origin | token))
    answers.append(await api.client.get("/block-action/list", headers=origin))
    answers.append(await api.client.post("/auth/login", content=b"{", headers=origin))
    answers.append(await api.client.patch("/auth/login", headers=origin))
    answers.append(await api.client.get("/nowhere", headers=origin))
    answers.append(await api.client.head("/ready", headers=origin))
    assert [answer.status_code for answer in answers] == [200, 409, 200, 200, 401, 415, 405, 404, 200]
    for answer in answers:
        assert given(answer.headers) == {
            "access-control-allow-origin": LISTED,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "Retry-After, WWW-Authenticate, Allow",
        }
        assert answer.headers["vary"] == "Origin"


async def test_errors_that_are_to_be_tried_again_say_when(api: Api) -> None:
    api.notes.readiness.checks["redis"] = Check("It sleeps.")
    answer = await api.client.get("/ready", headers={"Origin": LISTED})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


OTHERS = [FOREIGN, "null", "http://localhost:5501", "http://localhost", "https://localhost:5500", LISTED + "/", ""]


async def test_another_origin_gets_nothing_of_it(api: Api) -> None:
    for origin in OTHERS:
        for path, status in (("/auth/login", 204), ("/nowhere", 404)):
            answer = await api.client.options(path, headers=preflight(origin))
            assert (answer.status_code, given(answer.headers)) == (status, {}), origin
        answer = await api.client.get("/health", headers={"Origin": origin})
        assert (answer.status_code, given(answer.headers), answer.headers["vary"]) == (200, {}, "Origin"), origin


async def test_who_is_no_page_gets_nothing_of_it(api: Api) -> None:
    answer = await api.client.get("/health")
    assert (given(answer.headers), answer.headers["vary"]) == ({}, "Origin")
    plain = await api.client.options("/health", headers={"Origin": LISTED})
    assert plain.headers["allow"] == "GET, HEAD, OPTIONS"
    assert "access-control-allow-methods" not in plain.headers


async def test_what_is_no_list_of_headers_does_not_come_back(api: Api) -> None:
    for wanted in ("a b", "", '"', "a,,b", "x;y"):
        answer = await api.client.options("/auth/login", headers=preflight(LISTED, headers=wanted))
        assert answer.status_code == 204
        assert "access-control-allow-headers" not in answer.headers, wanted


async def test_two_origins_in_one_header_are_none(api: Api) -> None:
    answer = await api.client.get("/health", headers={"Origin": f"{LISTED}, {SECOND}"})
    assert given(answer.headers) == {}


async def test_a_refused_socket_says_it_too(api: Api) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(f"GET / HTTP/1.1\r\nHost: x\r\nOrigin: {LISTED}\r\nConnection: close\r\nX: 1\r\n\r\n".encode())
    head = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")[0].lower()
    writer.close()
    assert f"access-control-allow-origin: {LISTED}".encode() in head


async def test_any_origin_means_any_without_credentials(redis: object, valkey_url: str, database_url: str) -> None:
    async with serve(make_settings(valkey_url, database_url, cors_origins="*")) as api:
        answer = await api.client.options("/auth/login", headers=preflight(FOREIGN))
        assert given(answer.headers)["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert "vary" not in (await api.client.get("/health")).headers


async def test_without_origins_nothing_is_added(redis: object, valkey_url: str, database_url: str) -> None:
    async with serve(make_settings(valkey_url, database_url, cors_origins="")) as api:
        answer = await api.client.options("/auth/login", headers=preflight(LISTED))
        assert (answer.status_code, answer.headers["allow"]) == (204, "OPTIONS, POST")
        assert given(answer.headers) == {}
        assert "vary" not in answer.headers


async def test_the_originals_own_origin_is_let_in_by_default(redis: object, valkey_url: str, database_url: str) -> None:
    async with serve(make_settings(valkey_url, database_url)) as api:
        answer = await api.client.options("/auth/login", headers=preflight("http://localhost:5500"))
        assert answer.headers["access-control-allow-origin"] == "http://localhost:5500"
