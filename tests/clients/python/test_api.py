"""Every route as a method, against the product."""

import asyncio
import contextlib
from datetime import datetime

import httpx
import pytest
from whatsapp_mini import ApiError, Client
from whatsapp_mini.answers import Privacy
from whatsapp_mini.http import Http

from tests.clients.python.conftest import Newcomer
from tests.support.people import PASSWORD, new_mobile
from tests.support.stack import ServerGroup


async def test_oneself_devices_sessions_and_events(product: ServerGroup, newcomer: Newcomer) -> None:
    asha = newcomer(product.url, device_name="Asha's phone")
    assert await asha.api.sign_up("Asha", asha.mobile_no, PASSWORD)
    async with asha:
        me = await asha.api.me()
        assert (me.name, me.about, me.mobile_no, me.device_id) == ("Asha", "", asha.mobile_no, "primary")
        assert (await asha.api.update_me(about="At the sea")).about == "At the sea"
        assert (await asha.api.update_me(name="Asha B")).name == "Asha B"
        (device,) = await asha.api.devices()
        assert (device.device_name, device.last_seen, device.current) == ("Asha's phone", "online", True)
        (session,) = await asha.api.sessions()
        assert isinstance(session.last_used_at, datetime)
        events = await asha.api.security_events(limit=1)
        assert len(events) == 1
        assert [event.id for event in await asha.api.security_events(before=events[0].id)] != [events[0].id]
        assert (await asha.api.export_all())["profile"]["name"] == "Asha B"
        other = newcomer(product.url, asha.mobile_no, device_id="other.1")
        async with other:
            ids = {each.device_id: each.id for each in await asha.api.sessions()}
            await asha.api.end_session(ids["other.1"])
        async with newcomer(product.url, asha.mobile_no, device_id="third"):
            await asha.api.unlink_device("third")
            assert [each.device_id for each in await asha.api.devices()] == ["primary"]
        await asha.api.change_password(PASSWORD, "another horse")
        assert await asha.api.log_out_everywhere(include_this=True) == 1
        assert asha.state.name == "loggedOut"


async def test_others_and_privacy(product: ServerGroup, newcomer: Newcomer) -> None:
    asha, ben = newcomer(product.url), newcomer(product.url)
    await asha.sign_up("Asha")
    await ben.sign_up("Ben")
    async with asha:
        assert (await asha.api.last_seen(ben.mobile_no)).last_seen is None
        async with ben:
            assert (await asha.api.last_seen(ben.mobile_no)).last_seen == "online"
        found = await asha.api.lookup([f"+{ben.mobile_no}", new_mobile(), "x"])
        assert [(person.index, person.name) for person in found.people] == [(0, "Ben")]
        assert [error["field"] for error in found.errors] == ["mobileNos[2]"]
        await asha.api.block(ben.mobile_no)
        assert [(each.username, each.mobile_no) for each in await asha.api.blocked()] == [("Ben", ben.mobile_no)]
        await asha.api.unblock(ben.mobile_no)
        assert await asha.api.blocked() == []
        assert await asha.api.privacy() == Privacy("everyone", "everyone", "on", "on")
        assert await asha.api.set_privacy(online="nobody", read_receipts="off") == Privacy(
            "everyone", "nobody", "off", "on"
        )


async def test_an_account_can_be_deleted(product: ServerGroup, newcomer: Newcomer) -> None:
    asha = newcomer(product.url)
    await asha.sign_up("Asha")
    async with asha:
        with pytest.raises(ApiError) as refused:
            await asha.api.delete_account("wrong horse")
        assert (refused.value.status, refused.value.code) == (403, "password_wrong")
        await asha.api.delete_account(PASSWORD)
        assert asha.state.name == "loggedOut"


async def test_without_codes_what_asks_for_one_is_refused(product: ServerGroup) -> None:
    client = Client(product.url, new_mobile(), PASSWORD)
    for call in (client.api.request_code(new_mobile()), client.api.reset_password(new_mobile(), "123456", PASSWORD)):
        with pytest.raises(ApiError, match="codes_off"):
            await call
    await client.stop()


async def test_a_refusal_says_what_the_server_said(product: ServerGroup) -> None:
    client = Client(product.url, new_mobile(), PASSWORD)
    with pytest.raises(ApiError) as refused:
        await client.api.sign_up("A", "12", "x")
    error = refused.value
    assert (error.status, error.retryable, error.retry_after) == (400, False, None)
    assert {each["field"] for each in error.errors} & {"name", "mobileNo", "password"}
    await client.stop()


@pytest.mark.parametrize(
    ("answer", "code", "retry_after"),
    [
        (httpx.Response(502, text="<html>"), "unavailable", None),
        (httpx.Response(503, text="", headers={"Retry-After": "7"}), "unavailable", 7),
        (httpx.Response(429, json={"code": "rate_limited", "retryAfter": 0.5}), "rate_limited", 0.5),
        (httpx.Response(302, headers={"Location": "http://elsewhere"}), "unavailable", None),
        (httpx.Response(200, text="<html>"), "unreachable", None),
        (httpx.Response(404, json=[1]), "bad_request", None),
        (httpx.Response(429, json={"code": "x", "retryAfter": -1}), "x", None),
        (httpx.Response(429, text='{"code": "x", "retryAfter": NaN}'), "x", None),
        (httpx.Response(429, text='{"code": "x", "retryAfter": 1' + "0" * 400 + "}"), "x", None),
        (httpx.Response(503, headers=[(b"Retry-After", b"\xb2")]), "unavailable", None),
        (httpx.Response(200, text="[" * 100_000), "unreachable", None),
    ],
)
async def test_what_a_proxy_answers_is_an_error_too(
    answer: httpx.Response, code: str, retry_after: float | None
) -> None:
    http = Http("http://server/below/", httpx.MockTransport(lambda _request: answer))
    with pytest.raises(ApiError) as refused:
        await http.request("GET", "/v1/me")
    assert (refused.value.code, refused.value.retry_after) == (code, retry_after)
    await http.close()


async def test_an_answer_that_drips_is_none() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        http = Http(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with asyncio.timeout(20):
            with pytest.raises(ApiError, match="unreachable"):
                await http.request("GET", "/v1/me", timeout=0.3)
        await http.close()


async def test_no_answer_is_unreachable_and_names_no_address() -> None:
    http = Http("http://127.0.0.1:9")
    with pytest.raises(ApiError) as failed:
        await http.request("GET", "/v1/me?secret")
    assert (failed.value.status, failed.value.code, failed.value.retryable) == (0, "unreachable", True)
    assert "secret" not in str(failed.value)
    await http.close()


@pytest.mark.parametrize(
    ("url", "http", "socket"),
    [
        ("http://a:5000", "http://a:5000", "ws://a:5000/"),
        ("https://a/chat/", "https://a/chat", "wss://a/chat/"),
        ("wss://a", "https://a", "wss://a/"),
    ],
)
def test_addresses(url: str, http: str, socket: str) -> None:
    made = Http(url)
    assert (made.url, made.socket_url) == (http, socket)
    for wrong in ("a:5000", "ftp://a", "", "http://"):
        with pytest.raises(ValueError, match="http"):
            Http(wrong)
