"""Each frame has a verdict of its own, by name: what is wrong with one touches neither its neighbours nor anybody."""

import json
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.people import Frame, Person, Talk, on_device, sign_up
from tests.support.stack import ServerGroup

BOTH = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])


def chat(to: Person, message_id: Any, message: str = "hello", **changes: Any) -> str:
    return json.dumps({"type": "chat", "to": to.mobile, "messageId": message_id, "message": message} | changes)


def verdict(frame: Frame) -> str:
    return str(frame.get("code") or frame.get("status") or frame["type"])


async def verdicts(talk: Talk, count: int) -> list[tuple[str, Any]]:
    """What was said of the next chats, in order of their names."""
    replies = await talk.wait_all(lambda f: "messageId" in f and f["type"] in ("sent", "system", "error"), count)
    assert len(replies) == count
    return sorted((str(frame["messageId"]), verdict(frame)) for frame in replies)


async def shown(talk: Talk, count: int) -> list[str]:
    return [frame["message"] for frame in await talk.wait_all(lambda f: f["type"] == "chat", count)]


@BOTH
async def test_another_text_under_a_known_message_id_is_refused_and_never_told_sent(
    single_server: ServerGroup, v1: bool
) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a, r = await asha.open(single_server.ws_url, v1), await ravi.open(single_server.ws_url, v1)
    assert verdict(await a.chat(ravi, "1", "the first text")) == "sent"
    await a.end()
    a = await asha.open(single_server.ws_url, v1)  # a page that counts 1, 2, 3 and was reloaded
    refused = await a.chat(ravi, "1", "the second text")
    assert (refused["code"], refused["to"], refused["retryable"]) == ("message_id_reused", ravi.mobile, False)
    await a.end()
    a = await asha.open(single_server.ws_url, v1)
    assert verdict(await a.chat(ravi, "1", "the first text")) == "sent", "a retry is what it always was"
    assert verdict(await a.chat(ravi, "2", "the second text")) == "sent"
    assert await shown(r, 2) == ["the first text", "the second text"]
    for talk in (a, r):
        await talk.end()


@BOTH
async def test_two_devices_that_count_alike_are_told_of_it(single_server: ServerGroup, v1: bool) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    phone = await (await on_device(single_server.url, asha, "phone")).open(single_server.ws_url, v1)
    laptop = await (await on_device(single_server.url, asha, "laptop")).open(single_server.ws_url, v1)
    assert verdict(await phone.chat(ravi, "c-1", "from the phone")) == "sent"
    assert verdict(await laptop.chat(ravi, "c-1", "from the laptop")) == "message_id_reused"
    for talk in (phone, laptop):
        await talk.end()


async def test_the_blocked_learn_nothing_from_a_reused_message_id(single_server: ServerGroup) -> None:
    asha, ravi, eve = [await sign_up(single_server.url, name) for name in ("Asha", "Ravi", "Eve")]
    blocks = Redis.from_url(single_server.env["REDIS_URL"])
    seen = []
    for blocked in (False, True):
        sender = eve if blocked else asha
        s = await sender.open(single_server.ws_url)
        assert verdict(await s.chat(ravi, "0")) == "sent"
        if blocked:
            await blocks.sadd(f"blockedUser:{{{ravi.mobile}}}", eve.mobile)
        for message in ("first", "second", "first"):
            await s.socket.send(chat(ravi, "1", message))
        await s.wait_all(lambda f: f.get("messageId") == "1", 3)
        seen.append([frame | {"timestamp": 0} for frame in s.frames if frame.get("messageId") == "1"])
        await s.end()
    await blocks.aclose()
    assert seen[0] == seen[1]


async def test_half_an_emoji_in_an_array_touches_no_neighbour(single_server: ServerGroup) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a, r = await asha.open(single_server.ws_url), await ravi.open(single_server.ws_url)
    frames = [
        chat(ravi, "v1", "one"),
        chat(ravi, "v2", "hi \ud83d"),
        chat(ravi, "v3", "three"),
        chat(ravi, "v4").replace(f'"{ravi.mobile}"', "7"),
    ]
    await a.socket.send("[" + ",".join(frames) + "]")
    assert await verdicts(a, 4) == [("v1", "sent"), ("v2", "bad_frame"), ("v3", "sent"), ("v4", "bad_frame")]
    assert await shown(r, 2) == ["one", "three"]
    half = next(frame for frame in a.frames if frame.get("messageId") == "v2")
    assert (half["to"], half["component"], half["retryable"]) == (ravi.mobile, "chat", False)
    assert "hi \\ud83d" not in single_server.log_text()
    for talk in (a, r):
        await talk.end()


@BOTH
@pytest.mark.parametrize(
    ("raw", "code", "name"),
    [
        (r'{"type":"chat","to":"TO","messageId":"m-1","message":"hi \ud83d"}', "bad_frame", "m-1"),
        ('{"type":"chat","to":"TO","messageId":"m-1","message":"she said "hi""}', "bad_json", "m-1"),
        ('{"type":"chat","to":"TO","messageId":"m-1","message":"two\nlines"}', "bad_json", "m-1"),
        ('{"type":"chat","to":"TO","messageId":"a b","message":"x"}', "bad_message_id", "a b"),
        ('{"type":"chat","to":"TO","messageId":"é","message":"x"}', "bad_message_id", "é"),
        ('{"type":"chat","to":"TO","messageId":7,"message":"x"}', "bad_frame", 7),
        ('{"type":"chat","to":"nobody","messageId":"m-1","message":"x"}', "bad_mobile", "m-1"),
        ('{"type":"chat","messageId":"m-1","message":"x"}', "bad_frame", "m-1"),
        ('{"type":"message","to":"TO","messageId":"m-1","message":"x"}', "unknown_type", "m-1"),
    ],
)
async def test_what_is_refused_is_named(single_server: ServerGroup, raw: str, code: str, name: Any, v1: bool) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a = await asha.open(single_server.ws_url, v1)
    await a.socket.send(raw.replace("TO", ravi.mobile))
    refused = await a.wait(lambda f: f["type"] == "error")
    assert (refused["code"], refused["messageId"]) == (code, name)
    assert refused.get("to") == (ravi.mobile if "TO" in raw else None)
    assert verdict(await a.chat(ravi, "m-2")) == "sent"
    await a.end()


@BOTH
async def test_an_ack_that_is_refused_is_named_by_its_ids(single_server: ServerGroup, v1: bool) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a = await asha.open(single_server.ws_url, v1)
    await a.send(type="ack", ackType="delivered", to=ravi.mobile, messageId="m-1", streamIds=["5-0", "5"])
    refused = await a.wait(lambda f: f["type"] == "error")
    assert (refused["code"], refused["component"]) == ("bad_stream_id", "ack")
    assert (refused["streamIds"], refused["messageIds"], refused["to"]) == (["5-0", "5"], ["m-1"], ravi.mobile)
    assert "messageId" not in refused, "it is not one of ours"
    await a.end()


@BOTH
async def test_any_plain_message_id_is_good(single_server: ServerGroup, v1: bool) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a, r = await asha.open(single_server.ws_url, v1), await ravi.open(single_server.ws_url, v1)
    names = ["3q2+7w/=", f"{asha.mobile}@s.whatsapp.net", '{"a":[1]}', "'--", "~" * 128]
    for name in names:
        assert verdict(await a.chat(ravi, name)) == "sent"
    assert [f["messageId"] for f in await r.wait_all(lambda f: f["type"] == "chat", len(names))] == names
    for name in names:
        await a.wait(lambda f, name=name: f["type"] == "ack" and name in (f.get("messageIds") or [f.get("messageId")]))
    await r.send(type="ack", ackType="read", to=asha.mobile, messageIds=names)
    for name in names:
        await a.wait(
            lambda f, name=name: f.get("ackType") == "read" and name in (f.get("messageIds") or [f["messageId"]])
        )
    for talk in (a, r):
        await talk.end()


@BOTH
async def test_a_delivered_ack_without_a_stream_id_is_a_tick(single_server: ServerGroup, v1: bool) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a, r = await asha.open(single_server.ws_url, v1), await ravi.open(single_server.ws_url, v1, ack=False)
    for name in ("m-1", "m-2", "m-3"):
        await a.chat(ravi, name)
    await r.wait_all(lambda f: f["type"] == "chat", 3)
    await r.send(type="ack", ackType="delivered", to=asha.mobile, messageId="m-1")
    await r.send(type="ack", ackType="delivered", to=asha.mobile, messageIds=["m-3"])
    for name in ("m-1", "m-3"):
        await a.wait(lambda f, name=name: f["type"] == "ack" and name in (f.get("messageIds") or [f["messageId"]]))
    assert sorted(a.delivered()) == ["m-1", "m-3"]
    assert not [f for f in r.frames if f["type"] == "error"]
    for talk in (a, r):
        await talk.end()


@BOTH
async def test_heartbeats_in_text_and_what_the_original_ignored_never_end_a_connection(
    single_server: ServerGroup, v1: bool
) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a = await asha.open(single_server.ws_url, v1)
    for number in range(15):
        await a.send(type="ping")
        assert len(await a.wait_all(lambda f: f["type"] == "pong", number + 1)) == number + 1
    for said in ('{"type":"system","message":"x"}', '{"type":"error"}', "ping", "pong", "", "2"):
        for _ in range(5):
            await a.socket.send(said)
    assert len(await a.wait_all(lambda f: f["type"] == "error", 30)) == 30
    assert verdict(await a.chat(ravi, "m-1")) == "sent"
    await a.end()


@BOTH
async def test_a_byte_order_mark_is_no_matter(single_server: ServerGroup, v1: bool) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a = await asha.open(single_server.ws_url, v1)
    await a.socket.send("\ufeff" + chat(ravi, "m-1"))
    assert await verdicts(a, 1) == [("m-1", "sent")]
    await a.end()


@BOTH
@pytest.mark.parametrize("size", [17_000, 70_000, 200_000])
async def test_a_paste_that_is_too_large_is_refused_by_name_and_what_is_behind_it_gets_through(
    single_server: ServerGroup, v1: bool, size: int
) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a = await asha.open(single_server.ws_url, v1)
    await a.socket.send(chat(ravi, "large", "x" * size))
    await a.socket.send(chat(ravi, "small"))
    assert await verdicts(a, 2) == [("large", "message_too_large"), ("small", "sent")]
    await a.end()


@BOTH
@pytest.mark.parametrize("count", [8_000, 16_000])
async def test_control_characters_count_as_they_are_in_utf8(single_server: ServerGroup, v1: bool, count: int) -> None:
    asha, ravi = await sign_up(single_server.url), await sign_up(single_server.url, "Ravi")
    a, r = await asha.open(single_server.ws_url, v1), await ravi.open(single_server.ws_url, v1)
    await a.socket.send(chat(ravi, "m-1", "\x01" * count))
    assert await verdicts(a, 1) == [("m-1", "sent")]
    assert await shown(r, 1) == ["\x01" * count]
    for talk in (a, r):
        await talk.end()


@BOTH
async def test_a_broken_key_of_one_person_ends_nobodys_connection(single_server: ServerGroup, v1: bool) -> None:
    broken, ravi = await sign_up(single_server.url, "Broken"), await sign_up(single_server.url, "Ravi")
    people = [await sign_up(single_server.url) for _ in range(5)]
    logged = single_server.log_text().count("WRONGTYPE")
    async with Redis.from_url(single_server.env["REDIS_URL"]) as redis:
        await redis.set(f"mailbox:{{{broken.mobile}}}", "oops")
        talks = [await person.open(single_server.ws_url, v1) for person in people]
        for talk in talks:
            refused = await talk.chat(broken, "m-1")
            assert (refused["code"], refused["to"], refused["retryable"]) == ("internal", broken.mobile, True)
            assert verdict(await talk.chat(ravi, "m-2")) == "sent"
        assert single_server.log_text().count("WRONGTYPE") <= logged + 2, "once a minute, not once a chat"
        await redis.delete(f"mailbox:{{{broken.mobile}}}")
        for talk in talks:
            talk.frames.clear()
            assert verdict(await talk.chat(broken, "m-1")) == "sent", "the retry, when somebody has mended the key"
            await talk.end()
