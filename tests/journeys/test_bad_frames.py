"""Whatever a client sends: a coded answer, the socket stays, and nobody else notices."""

import asyncio
import base64
import json
import secrets
import time
from typing import Any

import jwt
import pytest
import websockets
from redis.asyncio import Redis

from tests.support.people import Frame, Person, Talk, request, sign_up
from tests.support.processes import patient
from tests.support.stack import ServerGroup

ARABIC = "".join(chr(0x0660 + int(digit)) for digit in "9100000001")
FULL_WIDTH = "".join(chr(0xFF10 + int(digit)) for digit in "9100000001")


async def still_talks(talk: Talk, to: Person) -> None:
    """The connection is as good as before."""
    message_id = secrets.token_hex(4)
    answer = await talk.chat(to, message_id)
    assert (answer["type"], answer.get("status", "sent")) in (("sent", "sent"), ("system", "sent")), answer


async def refused(talk: Talk, raw: str | bytes, code: str) -> Frame:
    """The error frame for what was sent."""
    before = sum(f["type"] == "error" for f in talk.frames)
    await talk.socket.send(raw)
    answer = (await talk.wait_all(lambda f: f["type"] == "error", before + 1))[before]
    assert answer["code"] == code, answer
    assert answer["retryable"] is False
    return answer


def chat(**changes: Any) -> str:
    return json.dumps({"type": "chat", "to": "9000000000", "messageId": "m-1", "message": "hello"} | changes)


def ack(**changes: Any) -> str:
    return json.dumps({"type": "ack", "ackType": "delivered", "streamId": "5-0"} | changes)


CASES: dict[str, tuple[str | bytes, str]] = {
    "no JSON": ("hello", "bad_json"),
    "empty": ("", "bad_json"),
    "half an object": ('{"type":"chat"', "bad_json"),
    "two objects": ("{}{}", "bad_json"),
    "NaN": ('{"type":"chat","to":"9000000000","messageId":"m","message":NaN}', "bad_json"),
    "Infinity in a field nobody reads": ('{"type":"chat","x":Infinity}', "bad_json"),
    "a lone surrogate": (r'{"type":"chat","to":"9000000000","messageId":"m","message":"\ud800"}', "bad_frame"),
    "half a pair": (r'{"type":"chat","to":"9000000000","messageId":"m","message":"\udc00\ud800"}', "bad_frame"),
    "deep nesting": ('{"type":"chat","x":' + "[" * 60_000, "bad_json"),
    "deep nesting of objects": ('{"x":' * 10_000 + "1" + "}" * 10_000, "bad_json"),
    "a binary frame": (chat().encode(), "binary_frame"),
    "null": ("null", "bad_frame"),
    "a number": ("7", "bad_frame"),
    "a string": ('"chat"', "bad_frame"),
    "no type": ('{"to":"9000000000"}', "unknown_type"),
    "an unknown type": (chat(type="<script>alert(1)</script>"), "unknown_type"),
    "a type of the server's": (chat(type="sent"), "unknown_type"),
    "a type that is a list": (chat(type=["chat"]), "unknown_type"),
    "a number for to": (chat(to=9000000000), "bad_frame"),
    "a number for the message": (chat(message=7), "bad_frame"),
    "an object for the message": (chat(message={"$ne": ""}), "bad_frame"),
    "null for messageId": (chat(messageId=None), "bad_frame"),
    "no message": ('{"type":"chat","to":"9000000000","messageId":"m"}', "bad_frame"),
    "an empty message": (chat(message=""), "message_empty"),
    "a message of invisible characters": (chat(message="\u200b\u2060\u00ad"), "message_empty"),
    "a number that begins with 0": (chat(to="09800000001"), "bad_mobile"),
    "17 KiB": (chat(message="x" * (16 * 1024 + 1)), "message_too_large"),
    "16 KiB and a bit in UTF-8": (chat(message="é" * (8 * 1024 + 1)), "message_too_large"),
    "an empty messageId": (chat(messageId=""), "bad_message_id"),
    "a messageId with a space": (chat(messageId="a b"), "bad_message_id"),
    "a long messageId": (chat(messageId="a" * 129), "bad_message_id"),
    "a messageId in Arabic digits": (chat(messageId=ARABIC), "bad_message_id"),
    "a messageId with a line end": (chat(messageId="m\n"), "bad_message_id"),
    "Arabic digits": (chat(to=ARABIC), "bad_mobile"),
    "full-width digits": (chat(to=FULL_WIDTH), "bad_mobile"),
    "braces": (chat(to="{9000000000}"), "bad_mobile"),
    "a colon": (chat(to="9000000000:1"), "bad_mobile"),
    "NUL": (chat(to="9000000000\0"), "bad_mobile"),
    "a line end": (chat(to="9000000000\n"), "bad_mobile"),
    "a tab within": (chat(to="90000\t00000"), "bad_mobile"),
    "a glob": (chat(to="*"), "bad_mobile"),
    "nine digits": (chat(to="900000000"), "bad_mobile"),
    "sixteen digits": (chat(to="9" * 16), "bad_mobile"),
    "nobody": (chat(to=""), "bad_mobile"),
    "streamId *": (ack(streamId="*"), "bad_stream_id"),
    "streamId 0-0": (ack(streamId="0-0"), "bad_stream_id"),
    "streamId 2^64": (ack(streamId=f"{2**64}-0"), "bad_stream_id"),
    "streamId with 2^64 behind": (ack(streamId=f"1-{2**64}"), "bad_stream_id"),
    "streamId >": (ack(streamId=">"), "bad_stream_id"),
    "streamId without its second part": (ack(streamId="5"), "bad_stream_id"),
    "streamId below zero": (ack(streamId="-1-0"), "bad_stream_id"),
    "streamId in Arabic digits": (ack(streamId="٥-٠"), "bad_stream_id"),
    "one bad among good streamIds": (ack(streamIds=["5-0", "x"]), "bad_stream_id"),
    "an ack for nothing": (json.dumps({"type": "ack", "ackType": "delivered"}), "bad_frame"),
    "an ack of an unknown sort": (ack(ackType="expired"), "bad_frame"),
    "streamIds that are numbers": (ack(streamIds=[5]), "bad_frame"),
    "streamIds that are a string": (ack(streamIds="5-0"), "bad_frame"),
    "a read ack without a sender": (json.dumps({"type": "ack", "ackType": "read", "messageId": "m"}), "bad_frame"),
    "a read ack without ids": (json.dumps({"type": "ack", "ackType": "read", "to": "9000000000"}), "bad_frame"),
    "a read ack with a bad sender": (ack(ackType="read", to="{x}", messageIds=["m"]), "bad_mobile"),
    "a read ack with a bad id": (ack(ackType="read", to="9000000000", messageIds=["m\0"]), "bad_message_id"),
}
SLICES = [list(CASES.items())[n : n + 8] for n in range(0, len(CASES), 8)]


@pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])
@pytest.mark.parametrize("cases", SLICES, ids=lambda cases: cases[0][0])
async def test_bad_frames_are_named_and_the_socket_stays(
    single_server: ServerGroup, cases: list[tuple[str, tuple[str | bytes, str]]], v1: bool
) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a = await asha.open(single_server.ws_url, v1)
    for name, (raw, code) in cases:
        print(name)
        answer = await refused(a, raw, code)
        assert "<script>" not in json.dumps(answer)
        assert "9000000000" not in json.dumps(answer | {"to": "named on purpose"})
        assert "`" not in answer["message"], "our own words"
        assert "body" not in answer["message"], "a frame has none"
    await still_talks(a, ravi)
    await a.end()


async def test_brackets_and_arrays_mean_what_the_dialect_says(single_server: ServerGroup) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a, seed = await asha.open(single_server.ws_url), await ravi.open(single_server.ws_url, v1=False)
    await refused(a, "[", "bad_json")
    await refused(a, "[" * 60_000, "bad_json")
    await refused(a, f"[{chat(to=ravi.mobile)},7]", "bad_frame")
    assert (await a.wait(lambda f: f["type"] == "sent"))["messageId"] == "m-1"
    await refused(seed, f"[{chat(to=asha.mobile)}]", "bad_frame")
    await still_talks(a, ravi)
    await still_talks(seed, asha)
    await a.end()
    await seed.end()


@pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])
async def test_an_error_names_the_chat_and_its_component(single_server: ServerGroup, v1: bool) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a = await asha.open(single_server.ws_url, v1)
    unknown = await refused(a, chat(to="9999999999", messageId="u-1"), "no_such_person")
    assert (unknown["component"], unknown["messageId"]) == ("chat" if v1 else "user does not exists", "u-1")
    itself = await refused(a, chat(to=asha.mobile, messageId="s-1"), "self_message")
    assert (itself["component"], itself["messageId"]) == ("chat", "s-1")
    itself = await refused(a, chat(to=f"+{asha.mobile[:5]} {asha.mobile[5:]}", messageId="s-2"), "self_message")
    wrong = await refused(a, chat(message=7, messageId="w-1"), "bad_frame")
    assert (wrong["component"], wrong["messageId"]) == ("chat", "w-1")
    assert (await refused(a, ack(streamId="*"), "bad_stream_id"))["component"] == "ack"
    await still_talks(a, ravi)
    await a.end()


async def test_no_sender_but_the_tokens(single_server: ServerGroup) -> None:
    asha, ravi, eve = [await sign_up(single_server.url, name) for name in ("Asha", "Ravi", "Eve")]
    e, r = await eve.open(single_server.ws_url), await ravi.open(single_server.ws_url)
    forged = {"from": asha.mobile, "sender": asha.mobile, "timestamp": 1, "mode": "offline", "streamId": "1-1"}
    await e.socket.send(chat(to=ravi.mobile, **forged))
    got = await r.wait(lambda f: f["type"] == "chat")
    assert (got["from"], got["mode"]) == (eve.mobile, "online")
    assert got["timestamp"] > (time.time() - 60) * 1000
    assert got["streamId"] != "1-1"
    await e.end()
    await r.end()


async def test_acks_for_what_is_not_ones_own_change_nothing(single_server: ServerGroup) -> None:
    asha, ravi, eve = [await sign_up(single_server.url, name) for name in ("Asha", "Ravi", "Eve")]
    a = await asha.open(single_server.ws_url)
    r, e = await ravi.open(single_server.ws_url, ack=False), await eve.open(single_server.ws_url)
    await a.chat(ravi, "m-1")
    got = await r.wait(lambda f: f["type"] == "chat")
    names = [f"{kind}:{{{mobile}}}" for kind in ("mailbox", "tally", "seen") for mobile in (ravi.mobile, asha.mobile)]
    async with Redis.from_url(single_server.env["REDIS_URL"]) as redis:
        before = [await redis.dump(name) for name in names]
        assert before[0] is not None
        for stream_id in (got["streamId"], "5-0", f"{2**64 - 1}-{2**64 - 1}", "9007199254740993-0"):
            await e.socket.send(ack(streamId=stream_id, to=asha.mobile, **{"from": ravi.mobile}))
        await e.socket.send(ack(streamIds=[got["streamId"]] * 3))
        await e.send(type="ack", ackType="read", to=asha.mobile, messageIds=["m-1", "m-1"], **{"from": ravi.mobile})
        await e.send(type="ack", ackType="read", to="9999999999", messageId="m-1")
        await still_talks(e, asha)
        await a.wait(lambda f: f["type"] == "chat")
        assert [await redis.dump(name) for name in names[::2]] == before[::2]
    assert not [f for f in e.frames if f["type"] == "error"]
    assert a.ticks("m-1") == []
    for _ in range(2):
        await r.send(type="ack", ackType="delivered", streamId=got["streamId"])
    await a.wait(lambda f: f["type"] == "ack")
    await still_talks(r, asha)
    assert a.ticks("m-1") == ["delivered"]
    for talk in (a, r, e):
        await talk.end()


@pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])
async def test_a_frame_over_256_kib_ends_the_connection_with_1009(single_server: ServerGroup, v1: bool) -> None:
    asha = await sign_up(single_server.url)
    a = await asha.open(single_server.ws_url, v1)
    await a.socket.send("[" * 300_000)
    assert await a.closed() == 1009


async def test_ten_bad_frames_in_a_minute_end_the_connection(single_server: ServerGroup) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a = await asha.open(single_server.ws_url)
    for _ in range(9):
        await refused(a, "{x", "bad_json")
    await still_talks(a, ravi)
    await a.socket.send("{x")
    assert await a.closed() == 4503
    assert sum(f["type"] == "error" for f in a.frames) == 10
    closed = time.monotonic()
    a = await asha.open(single_server.ws_url)
    assert 0.9 < time.monotonic() - closed < patient(3), "who was cut off waits a second"
    await still_talks(a, ravi)
    await a.socket.send("[" + ",".join(["7"] * 500) + "]")
    assert await a.closed() == 4503
    assert sum(f["type"] == "error" for f in a.frames) == 10


async def test_a_person_logged_out_while_waiting_does_not_come_in(single_server: ServerGroup) -> None:
    asha = await sign_up(single_server.url)
    for _ in range(2):  # the second time they wait for two seconds
        a = await asha.open(single_server.ws_url)
        await a.socket.send("[" * 300_000)
        assert await a.closed() == 1009
    waiting = asyncio.ensure_future(asha.open(single_server.ws_url))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    assert (await request(single_server.url, asha, "POST", "/auth/logout")).status_code == 200
    with pytest.raises(websockets.InvalidStatus) as caught:
        await waiting
    assert caught.value.response.status_code == 401
    assert json.loads(caught.value.response.body or b"")["code"] == "session_revoked"


async def test_an_unknown_person_is_no_bad_frame(single_server: ServerGroup) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a = await asha.open(single_server.ws_url)
    for n in range(15):
        await refused(a, chat(to="9999999999", messageId=f"u-{n}"), "no_such_person")
    await still_talks(a, ravi)
    await a.end()


def forged(token: str, how: str, secret: str) -> str:
    """A token that is nearly as good as the real one."""
    header, payload, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT", "kid": kid}).encode()).decode().rstrip("=")
    ways = {
        "expired": jwt.encode(claims | {"exp": int(time.time()) - 1}, secret, "HS256", {"kid": kid}),
        "foreign": jwt.encode(claims, "another secret that is long enough", "HS256", {"kid": kid}),
        "no session": jwt.encode(claims | {"sid": claims["sub"]}, secret, "HS256", {"kid": kid}),
        "another algorithm": jwt.encode(claims, secret, "HS384", {"kid": kid}),
        "alg none": f"{none}.{payload}.",
        "alg none with the old signature": f"{none}.{payload}.{signature}",
        "cut": f"{header}.{payload}.{signature[:-4]}",
    }
    return ways.get(how, how)


CODES = {
    "expired": "token_expired",
    "no session": "session_revoked",
    "foreign": "token_invalid",
    "another algorithm": "token_invalid",
    "alg none": "token_invalid",
    "alg none with the old signature": "token_invalid",
    "cut": "token_invalid",
    "x": "token_invalid",
    "": "token_invalid",
}


@pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])
async def test_a_bad_token_is_refused_before_the_upgrade(single_server: ServerGroup, v1: bool) -> None:
    asha = await sign_up(single_server.url)
    subprotocols = [websockets.Subprotocol("wm.v1")] if v1 else None
    secret = single_server.env["JWT_SECRET"]
    queries = {f"/?token={forged(asha.token, how, secret)}": code for how, code in CODES.items()}
    for query, code in {**queries, "/": "token_missing", "/?ticket=x": "ticket_invalid"}.items():
        with pytest.raises(websockets.InvalidStatus) as caught:
            await websockets.connect(single_server.ws_url + query, subprotocols=subprotocols)
        response = caught.value.response
        assert (response.status_code, json.loads(response.body)["code"]) == (401, code), query
    a = await asha.open(single_server.ws_url, v1)
    await a.end()
