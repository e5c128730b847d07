"""What a client may send: it is slowed down before it is cut off, always read again, and what it provokes is free."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets
from redis.asyncio import Redis

from tests.server.support import CLOSE, TEXT, RawClient, frame
from tests.support.people import Frame, Person, Talk, on_device, sign_up
from tests.support.processes import patient
from tests.support.stack import ServerGroup

DIALECTS = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])


@pytest.fixture
async def asha(single_server: ServerGroup) -> Person:
    return await sign_up(single_server.url)


@pytest.fixture
async def ravi(single_server: ServerGroup) -> Person:
    return await sign_up(single_server.url, "Ravi")


@pytest.fixture
async def inside(single_server: ServerGroup) -> AsyncIterator["Redis"]:
    async with Redis.from_url(single_server.env["REDIS_URL"]) as client:
        yield client


def chat(to: Person, message_id: str, text: str = "hello") -> Frame:
    return {"type": "chat", "to": to.mobile, "messageId": message_id, "message": text}


def is_answer(frame_: Frame) -> bool:
    return frame_["type"] in ("sent", "error") or frame_.get("status") == "sent"


async def connect(single_server: ServerGroup, person: Person, v1: bool, **how: Any) -> Talk:
    """As soon as the upgrade is done: nothing is awaited from the server."""
    offers = [websockets.Subprotocol("wm.v1")] if v1 else None
    url = f"{single_server.ws_url}/?token={person.token}"
    talk = Talk(await websockets.connect(url, subprotocols=offers, max_queue=4096, **how), v1)
    talk.begin()
    return talk


# ---- always read again


@DIALECTS
async def test_a_full_outbox_sent_right_after_the_upgrade_is_answered_to_its_end(
    single_server: ServerGroup, asha: Person, ravi: Person, v1: bool
) -> None:
    for _ in range(4):
        talk = await connect(single_server, asha, v1)
        run = secrets.token_hex(4)
        chats = [chat(ravi, f"{run}-{n}", "x" * 16_384) for n in range(300 if v1 else 150)]
        messages = [chats[n : n + 3] for n in range(0, len(chats), 3)] if v1 else chats
        for message in messages:
            await talk.socket.send(json.dumps(message))
        await talk.wait_all(is_answer, len(chats), 30)
        await talk.end()


# ---- what the server provokes is free


@DIALECTS
async def test_receipts_and_acks_at_full_speed_never_close_a_connection(single_server: ServerGroup, v1: bool) -> None:
    people = [await sign_up(single_server.url) for _ in range(8)]
    talks = [await person.open(single_server.ws_url, v1=v1) for person in people]
    for round_ in range(40):
        for n, talk in enumerate(talks):
            for k in range(4):
                await talk.send(**chat(people[n ^ 1], f"{n}-{round_}-{k}"))
    for talk in talks:
        await talk.wait_all(lambda f: f["type"] == "ack", 1, 30)
        async with asyncio.timeout(30):
            while len(talk.delivered()) < 160:
                await asyncio.sleep(0.05)
        assert talk.socket.close_code is None
        await talk.end()


@DIALECTS
async def test_a_client_that_comes_back_to_a_full_mailbox_may_ack_it_one_by_one(
    single_server: ServerGroup, ravi: Person, v1: bool
) -> None:
    senders = [await sign_up(single_server.url) for _ in range(6)]
    for sender in senders:
        talk = await sender.open(single_server.ws_url)
        await talk.socket.send(json.dumps([chat(ravi, f"m-{n}") for n in range(400)]))
        await talk.socket.send(json.dumps([chat(ravi, f"n-{n}") for n in range(400)]))
        await talk.wait_all(is_answer, 800, 30)
        await talk.end()
    talk = await ravi.open(single_server.ws_url, v1=v1)
    await talk.wait_all(lambda f: f["type"] == "chat", 4_800, 60)
    assert talk.socket.close_code is None
    assert len({f["streamId"] for f in talk.chats()}) == len(talk.chats()) == 4_800
    await talk.end()


@DIALECTS
async def test_a_client_that_empties_its_outbox_is_slowed_and_not_cut(
    single_server: ServerGroup, asha: Person, v1: bool
) -> None:
    others = [await sign_up(single_server.url) for _ in range(8)]
    chats = [chat(others[n % 8], f"m-{n}") for n in range(6_400)]
    messages = [chats[n : n + 100] for n in range(0, len(chats), 100)] if v1 else chats
    talk = await connect(single_server, asha, v1)
    for message in messages:
        await talk.socket.send(json.dumps(message))
    answers = await talk.wait_all(is_answer, len(chats), 60)
    assert {f["type"] for f in answers} == ({"sent"} if v1 else {"system"})
    await talk.end()


# ---- work is charged

NOTHING = {
    "many unknown ids": [{"type": "ack", "ackType": "delivered", "streamIds": ["1-1"] * 1000}] * 9,
    "many acks of nothing": [{"type": "ack", "ackType": "delivered", "streamId": "1-1"}] * 900,
    "many reads of nothing": [{"type": "ack", "ackType": "read", "to": "919999999999", "messageId": "x"}] * 600,
    "nothing at all": [],
}


async def longest_answer(single_server: ServerGroup, seconds: float) -> float:
    """How long the server kept one who asks for its health waiting, at worst."""
    worst, until = 0.0, time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=single_server.url, timeout=30) as client:
        while time.monotonic() < until:
            began = time.monotonic()
            assert (await client.get("/health")).status_code == 200
            worst = max(worst, time.monotonic() - began)
            await asyncio.sleep(0.005)
    return worst


@pytest.mark.parametrize("kind", NOTHING)
async def test_work_that_comes_to_nothing_takes_no_time_of_others(
    single_server: ServerGroup, asha: Person, ravi: Person, kind: str
) -> None:
    message = frame(TEXT, json.dumps(NOTHING[kind], separators=(",", ":")).encode())
    client = await RawClient.connect(single_server.port, f"/?token={asha.token}", offer="wm.v1", send_buffer=2**16)
    reading = asyncio.ensure_future(client.reader.read(-1))
    piece = message * max(1, 2**14 // len(message))
    taken = 0

    async def flood() -> None:
        nonlocal taken
        while not client.writer.transport.is_closing():
            while client.writer.transport.get_write_buffer_size() == 0:
                client.writer.write(piece)
                taken += len(piece)
            await asyncio.sleep(0.001)

    flooding = asyncio.ensure_future(flood())
    try:
        await asyncio.sleep(0.3)
        talk = await ravi.open(single_server.ws_url)
        worst = await longest_answer(single_server, 2.0)
        assert (await talk.chat(asha, secrets.token_hex(4)))["type"] == "sent"
        await talk.end()
    finally:
        flooding.cancel()
        reading.cancel()
        client.vanish()
        await asyncio.gather(flooding, reading, return_exceptions=True)
    # The old server kept them waiting for seconds. What a busy machine adds must not make this fail.
    print(f"{kind}: {worst:.3f} s, {taken // 1024} KiB written")
    assert worst < 1.0
    assert taken < 2 * 2**20, "it was let send as fast as it could"


# ---- acks


async def received(client: RawClient, kind: str) -> list[Frame]:
    """The frames of this kind in the first message that holds any."""
    while True:
        _, payload = await client.receive()
        said = json.loads(payload)
        if found := [f for f in (said if isinstance(said, list) else [said]) if f["type"] == kind]:
            return found


@DIALECTS
async def test_an_ack_kept_from_before_a_cut_counts_on_the_new_connection(
    single_server: ServerGroup, asha: Person, ravi: Person, inside: "Redis", v1: bool
) -> None:
    sender = await asha.open(single_server.ws_url)
    first = await ravi.open(single_server.ws_url, v1=v1, ack=False)
    for n in range(3):
        await sender.chat(ravi, f"kept-{n}")
    came = await first.wait_all(lambda f: f["type"] == "chat", 3)
    first.socket.transport.abort()
    await first.end()
    acks = [{"type": "ack", "to": asha.mobile, "ackType": "delivered", "streamId": f["streamId"]} for f in came[:2]]
    # In the same segment as the handshake: what comes later may find the chat sent again already.
    early = b"".join(frame(TEXT, json.dumps(ack).encode()) for ack in acks)
    again = await RawClient.connect(
        single_server.port, f"/?token={ravi.token}", offer="wm.v1" if v1 else "", early=early
    )
    redelivered = await received(again, "chat")
    assert [f["messageId"] for f in redelivered] == ["kept-2"]
    await sender.wait_all(lambda f: f["type"] == "ack", 1)
    async with asyncio.timeout(10):
        while set(sender.delivered()) != {"kept-0", "kept-1"}:
            await asyncio.sleep(0.02)
        while await inside.xlen(f"mailbox:{{{ravi.mobile}}}") != 1:
            await asyncio.sleep(0.02)
    await sender.end()
    again.vanish()


@DIALECTS
async def test_reads_sent_one_by_one_reach_the_sender_together(
    single_server: ServerGroup, asha: Person, ravi: Person, v1: bool
) -> None:
    sender = await asha.open(single_server.ws_url)
    reader = await ravi.open(single_server.ws_url, v1=v1)
    names = [f"r-{n}" for n in range(400)]
    await sender.socket.send(json.dumps([chat(ravi, name) for name in names]))
    await reader.wait_all(lambda f: f["type"] == "chat", 400, 30)
    for name in names:
        await reader.send(type="ack", ackType="read", to=asha.mobile, messageId=name)
    async with asyncio.timeout(30):
        while any("read" not in sender.ticks(name) for name in names):
            await asyncio.sleep(0.05)
    reads = [f for f in sender.frames if f["type"] == "ack" and f["ackType"] == "read"]
    assert sorted(name for f in reads for name in f["messageIds"]) == sorted(names), "each once"
    assert len(reads) < 200, "receipts of a moment go together"
    await sender.end()
    await reader.end()


@DIALECTS
async def test_with_two_devices_no_tick_goes_back(
    single_server: ServerGroup, asha: Person, ravi: Person, v1: bool
) -> None:
    phone, laptop = (
        await on_device(single_server.url, ravi, "phone"),
        await on_device(single_server.url, ravi, "laptop"),
    )
    sender = await asha.open(single_server.ws_url, v1=v1)
    on_phone = await phone.open(single_server.ws_url, v1=v1, ack=False)
    on_laptop = await laptop.open(single_server.ws_url, v1=v1, ack=False)
    for n in range(5):
        await sender.chat(ravi, f"d-{n}")
    copies = await on_laptop.wait_all(lambda f: f["type"] == "chat", 5)
    await on_phone.wait_all(lambda f: f["type"] == "chat", 5)
    for n in range(5):
        await on_phone.send(type="ack", ackType="read", to=asha.mobile, messageId=f"d-{n}")
    async with asyncio.timeout(10):
        while any(sender.ticks(f"d-{n}") != ["read"] for n in range(5)):
            await asyncio.sleep(0.02)
    for copy in copies:
        await on_laptop.send(type="ack", ackType="delivered", to=asha.mobile, streamId=copy["streamId"])
    marker = await on_laptop.chat(asha, "after-the-acks")
    assert marker["type"] in ("sent", "system")
    await sender.wait(lambda f: f.get("messageId") == "after-the-acks")
    await asyncio.sleep(0.3)
    assert [sender.ticks(f"d-{n}") for n in range(5)] == [["read"]] * 5
    for talk in (sender, on_phone, on_laptop):
        await talk.end()


@DIALECTS
async def test_a_broken_key_of_one_person_ends_nobody_elses_connection(
    single_server: ServerGroup, asha: Person, ravi: Person, inside: "Redis", v1: bool
) -> None:
    sender, receiver = (
        await asha.open(single_server.ws_url, v1=v1),
        await ravi.open(single_server.ws_url, v1=v1, ack=False),
    )
    await sender.chat(ravi, "whole")
    came = await receiver.wait(lambda f: f["type"] == "chat")
    await inside.delete(f"mailbox:{{{asha.mobile}}}")
    await inside.set(f"mailbox:{{{asha.mobile}}}", "oops")
    try:
        for named in (
            {"ackType": "delivered", "streamId": came["streamId"]},
            {"ackType": "read", "messageId": "whole"},
        ):
            await receiver.send(type="ack", to=asha.mobile, **named)
        errors = await receiver.wait_all(lambda f: f["type"] == "error", 2)
        assert {(f["code"], f["component"], f["to"]) for f in errors} == {("internal", "ack", asha.mobile)}
        assert receiver.socket.close_code is None
        # It is theirs: they may come back, and will be well when it is mended.
        code = None
        with contextlib.suppress(websockets.WebSocketException, AssertionError):
            again = await connect(single_server, asha, v1)
            code = await again.closed()
        assert code in (None, 4004)
    finally:
        await inside.delete(f"mailbox:{{{asha.mobile}}}")
    await receiver.end()
    await sender.end()


# ---- connections that end each other


@DIALECTS
async def test_two_tabs_that_reconnect_at_once_are_let_in_ever_more_slowly(
    single_server: ServerGroup, asha: Person, v1: bool
) -> None:
    counts = [0, 0]
    until = time.monotonic() + 6

    async def tab(n: int) -> None:
        while time.monotonic() < until:
            with contextlib.suppress(websockets.WebSocketException, AssertionError, TimeoutError, OSError):
                talk = await asyncio.wait_for(asha.open(single_server.ws_url, v1=v1), 5)
                counts[n] += 1
                await talk.closed(max(0.1, until - time.monotonic()))
                await talk.end()
            await asyncio.sleep(0.01)

    await asyncio.gather(tab(0), tab(1))
    print(counts)
    assert sum(counts) <= 25, "they went on as fast as they could"


async def test_an_attempt_its_client_gave_up_does_not_end_the_connection_that_lives(
    single_server: ServerGroup, asha: Person, ravi: Person
) -> None:
    head = f"GET /?token={asha.token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    for delay in (0.0, 0.01, 0.05):
        _, stuck = await asyncio.open_connection("127.0.0.1", single_server.port)
        live = await asha.open(single_server.ws_url)
        stuck.write(head.encode())
        await asyncio.sleep(delay)
        stuck.close()
        await asyncio.sleep(0.3)
        assert live.socket.close_code is None
        assert (await live.chat(ravi, f"m-{delay}"))["type"] == "sent"
        await live.end()


@DIALECTS
async def test_a_newer_connection_whose_client_lives_replaces_the_older_at_once(
    single_server: ServerGroup, asha: Person, v1: bool
) -> None:
    older = await asha.open(single_server.ws_url, v1=v1)
    began = time.monotonic()
    newer = await asha.open(single_server.ws_url, v1=v1)
    assert time.monotonic() - began < patient(5)
    assert await older.closed() == 4508
    assert newer.socket.close_code is None
    await newer.end()


@DIALECTS
@pytest.mark.parametrize("early", [True, False], ids=["with the handshake", "after it"])
async def test_a_full_outbox_is_taken_though_an_older_connection_lives(
    single_server: ServerGroup, asha: Person, ravi: Person, v1: bool, early: bool
) -> None:
    older = await asha.open(single_server.ws_url, v1=v1)
    outbox = b"".join(frame(TEXT, json.dumps(chat(ravi, f"o-{n}")).encode()) for n in range(100))
    offer = "wm.v1" if v1 else ""
    newer = await RawClient.connect(
        single_server.port, f"/?token={asha.token}", offer=offer, early=outbox if early else b""
    )
    if not early:
        newer.writer.write(outbox)
    assert await older.closed() == 4508
    talk = await ravi.open(single_server.ws_url)
    came = await talk.wait_all(lambda f: f["type"] == "chat", 100)
    assert [f["messageId"] for f in came] == [f"o-{n}" for n in range(100)]
    newer.vanish()
    await talk.end()


@pytest.mark.parametrize("alone", [True, False], ids=["nobody else is connected", "an older connection lives"])
async def test_what_was_sent_before_a_clean_close_is_stored_however_early_it_came(
    single_server: ServerGroup, asha: Person, ravi: Person, alone: bool
) -> None:
    older = None if alone else await asha.open(single_server.ws_url)
    client = await RawClient.connect(single_server.port, f"/?token={asha.token}")
    said = [frame(TEXT, json.dumps(chat(ravi, f"early-{n}")).encode()) for n in range(3)]
    client.writer.write(b"".join(said) + frame(CLOSE, (1000).to_bytes(2, "big")))
    with contextlib.suppress(ConnectionError):
        await client.close_code()
    client.vanish()
    talk = await ravi.open(single_server.ws_url)
    came = await talk.wait_all(lambda f: f["type"] == "chat", 3)
    assert [f["messageId"] for f in came] == [f"early-{n}" for n in range(3)]
    await talk.end()
    if older is not None:
        assert (await older.chat(ravi, "still-here"))["type"] == "sent"
        await older.end()
