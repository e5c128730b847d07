import http.client
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from sanic import Request
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from protocol.errors import ApiError
from server.routes import SEED_PATH, V1_PATH, is_socket, is_v1
from tests.server.support import House, serving

TOKEN = "the-good-one"


def guarded(house: House) -> None:
    async def authenticate(request: Request) -> None:
        if is_socket(request) and request.args.get("token") != TOKEN:
            raise ApiError("token_invalid")

    house.app.on_request(authenticate)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with serving(prepare=guarded) as opened:
        yield opened


@pytest.mark.parametrize(
    "path", ["/", "", "/ws", "/any/path/at.all", "/%C3%BC", "/_socket", "/_socket/v1", "//", "/a/"]
)
async def test_any_path_upgrades_and_the_query_survives(house: House, path: str) -> None:
    async with connect(house.url(f"{path}?token={TOKEN}&name=%C3%BC%26+x")) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        assert client.subprotocol is None
    request = (await house.echo()).request
    assert request.args.get("name") == "ü& x"
    assert not is_v1(request)


@pytest.mark.parametrize("offers", [["wm.v1"], ["other", "wm.v1"]])
async def test_who_offers_wm_v1_gets_it(house: House, offers: list[str]) -> None:
    async with connect(house.url(f"/ws?token={TOKEN}"), subprotocols=offers) as client:  # type: ignore[arg-type]
        assert client.subprotocol == "wm.v1"
    request = (await house.echo()).request
    assert is_v1(request)
    assert request.args.get("token") == TOKEN


async def test_other_subprotocols_are_passed_over(house: House) -> None:
    async with connect(house.url(f"/?token={TOKEN}"), additional_headers={"Sec-WebSocket-Protocol": "chat"}) as client:
        assert client.subprotocol is None
    assert not is_v1((await house.echo()).request)


@pytest.mark.parametrize("query", ["", "?token=bad", "?token="])
@pytest.mark.parametrize("offers", [None, ["wm.v1"]])
async def test_middleware_refuses_before_the_upgrade(house: House, query: str, offers: list[str] | None) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(house.url("/ws" + query), subprotocols=offers)  # type: ignore[arg-type]
    assert caught.value.response.status_code == 401
    assert b'"token_invalid"' in caught.value.response.body
    assert house.echoes == []


@pytest.mark.parametrize("path", [SEED_PATH, V1_PATH, SEED_PATH + "/", "/%5Fsocket", SEED_PATH + "?token=" + TOKEN])
async def test_the_internal_paths_are_nothing_without_an_upgrade(house: House, path: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.port}") as client:
        assert (await client.get(path)).status_code == 404
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"Upgrade": "websocket", "Connection": "Upgrade"}),
        ("GET", {"Upgrade": "h2c", "Connection": "Upgrade"}),
    ],
)
async def test_only_a_get_for_a_websocket_is_led_away(house: House, method: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.port}") as client:
        assert (await client.request(method, "/nowhere", headers=headers)).status_code == 404


@pytest.mark.parametrize(
    "spoil",
    [
        lambda h: h.pop("Sec-WebSocket-Key"),
        lambda h: h.update({"Sec-WebSocket-Version": "8"}),
        lambda h: h.pop("Connection"),
    ],
    ids=["no key", "old version", "no connection header"],
)
async def test_a_broken_handshake_is_a_client_error(house: House, spoil: Callable[[dict[str, str]], object]) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    spoil(headers)
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{house.port}/?token={TOKEN}", headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.status_code in http.client.responses
