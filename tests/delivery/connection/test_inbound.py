"""What a client says becomes calls of the post, on a real Redis: every refusal, batches, order, and bad frames."""

import asyncio
import contextlib
import json
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis

from accounts.mobile_numbers import canonical_mobile
from delivery.connection.acks import Acks
from delivery.connection.carrier import Carrier
from delivery.connection.inbound import Inbound
from delivery.connection.sends import Sends
from delivery.connection.settles import Settles
from delivery.in_flight import Flights
from delivery.presence import Holder
from delivery.redis.client import RedisClient
from protocol.dialects import V1, Seed
from protocol.errors import ApiError
from tests.delivery import desk as hands
from tests.delivery.desk import Frame
from tests.delivery.one_server import ASHA, EVE, RAVI, OneServer, until
from tests.delivery.test_messenger import mailbox_of, receipts
from tools.devstack.valkey import Valkey

HOLDER = Holder(RAVI, "primary", "s1", "c1")


class Desk(hands.Desk):
    """Ravi's connection with all its parts but the socket."""

    def __init__(self, server: OneServer, dialect: V1 | Seed) -> None:
        super().__init__()
        self.server = server
        self.flights = Flights(server.settings.window)
        self.settles = Settles(self, HOLDER, server.messenger, self.flights)
        self.carrier = Carrier(self, HOLDER, server.mailbox, dialect, self.flights, self.settles, server.settings)
        self.sends = Sends(self, RAVI, dialect, server.messenger)
        self.acks = Acks(self, HOLDER, dialect, server.messenger, self.flights, self.settles, self.carrier)
        self.inbound = Inbound(RAVI, dialect, self.sends, self.acks, server.settings, self.canonical)

    def canonical(self, raw: str) -> str:
        return canonical_mobile(raw, "")

    async def hear(self, data: str | bytes) -> list[Frame]:
        """What is answered to this, now and when the work is done."""
        self.frames.clear()
        self.say(self.inbound.hear(data))
        self.sends.go()
        while self.sends.pending:
            await asyncio.sleep(0.005)
        await self.acks.finish()
        await self.settles.finish()
        return [*self.frames]

    async def one(self, **frame: Any) -> Frame:
        answers = await self.hear(json.dumps(frame))
        assert len(answers) == 1
        return answers[0]

    async def nothing(self, **frame: Any) -> None:
        assert await self.hear(json.dumps(frame)) == []


@pytest.fixture
def desk(redis: "Redis") -> Desk:
    return Desk(OneServer(redis), V1())


@pytest.fixture
def seed(redis: "Redis") -> Desk:
    return Desk(OneServer(redis), Seed())


def chat(message_id: str = "m-1", **changes: Any) -> Frame:
    return {"type": "chat", "to": ASHA, "messageId": message_id, "message": "hello"} | changes


async def fly(desk: Desk, *message_ids: str) -> list[str]:
    """Asha's chats for Ravi, taken by his carrier; their streamIds."""
    claimed = await desk.server.messenger.connect(HOLDER, f"account of {RAVI}")
    desk.carrier.begin(claimed.newest)
    ids = [await desk.server.send(ASHA, RAVI, name) for name in message_ids]
    await carried(desk, ids)
    return ids


async def carried(desk: Desk, ids: list[str]) -> None:
    """Let the carrier work until these are in flight."""
    desk.carrier.ring(ids[-1])
    await until(lambda: all(stream_id in desk.flights for stream_id in ids))


async def test_a_chat_is_stored_and_answered_with_its_time(desk: Desk, seed: Desk) -> None:
    answer = await desk.one(**chat())
    (entry,) = await mailbox_of(desk.server, ASHA)
    assert answer == {"type": "sent", "messageId": "m-1", "to": ASHA, "timestamp": entry.timestamp}
    assert entry.sender == RAVI
    assert await desk.one(**chat()) == answer, "a retry gets the first answer again"
    told = await seed.one(**chat())
    assert (told["type"], told["status"], told["messageId"]) == ("system", "sent", "m-1")
    assert told["timestamp"] == entry.timestamp
    assert len(await mailbox_of(desk.server, ASHA)) == 1


async def test_a_number_is_cleaned_and_the_answer_names_it_so(desk: Desk) -> None:
    assert (await desk.one(**chat(to=f"+{ASHA[:2]} ({ASHA[2:]})")))["to"] == ASHA


@pytest.mark.parametrize(
    ("frame", "code", "component", "names"),
    [
        (chat(to="x"), "bad_mobile", "chat", {"messageId": "m-1"}),
        (chat(to="12 34"), "bad_mobile", "chat", {"messageId": "m-1", "to": "12 34"}),
        (chat("a b"), "bad_message_id", "chat", {"messageId": "a b", "to": ASHA}),
        (chat("a b", to=f"+{ASHA}"), "bad_message_id", "chat", {"messageId": "a b", "to": ASHA}),
        (chat("m" * 129), "bad_message_id", "chat", {"messageId": "m" * 129, "to": ASHA}),
        (chat("m" * 257), "bad_message_id", "chat", {"to": ASHA}),
        (chat("m\0"), "bad_message_id", "chat", {"to": ASHA}),
        (chat("a b", to="x"), "bad_mobile", "chat", {"messageId": "a b"}),
        (chat(to=RAVI), "self_message", "chat", {"messageId": "m-1", "to": RAVI}),
        (chat(message=""), "message_empty", "chat", {"messageId": "m-1", "to": ASHA}),
        (chat(message="\u200b"), "message_empty", "chat", {"messageId": "m-1", "to": ASHA}),
        (chat(message="\ufeff\u2060 \u00ad"), "message_empty", "chat", {"messageId": "m-1", "to": ASHA}),
        (chat(message="é" * 51), "message_too_large", "chat", {"messageId": "m-1", "to": ASHA}),
        (chat(to="9999999999"), "no_such_person", "chat", {"messageId": "m-1", "to": "9999999999"}),
        (chat(message=7), "bad_frame", "chat", {"messageId": "m-1", "to": ASHA}),
        (chat(message="half \ud83d"), "bad_frame", "chat", {"messageId": "m-1", "to": ASHA}),
        ({"type": "hello"}, "unknown_type", "frame", {}),
        (chat() | {"type": "message"}, "unknown_type", "frame", {"messageId": "m-1", "to": ASHA}),
        ({"type": "ack", "ackType": "delivered"}, "bad_frame", "ack", {}),
        ({"type": "ack", "ackType": "delivered", "messageId": "m"}, "bad_frame", "ack", {"messageIds": ["m"]}),
        ({"type": "ack", "ackType": "delivered", "to": ASHA}, "bad_frame", "ack", {"to": ASHA}),
        (
            {"type": "ack", "ackType": "delivered", "to": ASHA, "messageId": "a b"},
            "bad_message_id",
            "ack",
            {"to": ASHA, "messageIds": ["a b"]},
        ),
        (
            {"type": "ack", "ackType": "delivered", "streamIds": ["5-0", "*"]},
            "bad_stream_id",
            "ack",
            {"streamIds": ["5-0"]},
        ),
        ({"type": "ack", "ackType": "expired", "streamId": "5-0"}, "bad_frame", "ack", {"streamIds": ["5-0"]}),
        ({"type": "ack", "ackType": "read", "to": ASHA}, "bad_frame", "ack", {"to": ASHA}),
        ({"type": "ack", "ackType": "read", "messageId": "m"}, "bad_frame", "ack", {"messageIds": ["m"]}),
        ({"type": "ack", "ackType": "read", "to": "x", "messageId": "m"}, "bad_mobile", "ack", {"messageIds": ["m"]}),
        (
            {"type": "ack", "ackType": "read", "to": ASHA, "messageIds": ["m", "\0"]},
            "bad_message_id",
            "ack",
            {"to": ASHA, "messageIds": ["m"]},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])
async def test_refusals(
    redis: "Redis", frame: Frame, code: str, component: str, names: Frame, dialect: V1 | Seed
) -> None:
    desk = Desk(OneServer(redis, max_message_bytes=100), dialect)
    answer = await desk.one(**frame)
    assert (answer["type"], answer["code"]) == ("error", code)
    assert answer["component"] == (
        component if code != "no_such_person" or dialect.joins_frames else "user does not exists"
    )
    assert answer["retryable"] is False
    assert {name: answer[name] for name in ("messageId", "to", "messageIds", "streamIds") if name in answer} == names
    assert await mailbox_of(desk.server, ASHA) == []


async def test_what_is_too_large_is_measured_in_utf8(redis: "Redis") -> None:
    desk = Desk(OneServer(redis, max_message_bytes=100), V1())
    assert (await desk.one(**chat(message="é" * 50)))["type"] == "sent"


@pytest.mark.parametrize(
    ("data", "code"), [(b"{}", "binary_frame"), ("hello", "bad_json"), ("[", "bad_json"), ("7", "bad_frame")]
)
async def test_what_is_no_frame_at_all(desk: Desk, data: str | bytes, code: str) -> None:
    (answer,) = await desk.hear(data)
    assert (answer["code"], answer["component"]) == (code, "frame")


async def test_what_may_be_repeated_is_said_to_be(redis: "Redis", away: RedisClient) -> None:
    desk = Desk(OneServer(redis, mailbox_limit=1), V1())
    assert (await desk.one(**chat()))["type"] == "sent"
    full = await desk.one(**chat("m-2"))
    assert (full["code"], full["messageId"], full["retryable"]) == ("mailbox_full", "m-2", True)
    assert full["retryAfter"] > 0
    gone = await Desk(OneServer(away), V1()).one(**chat())
    assert (gone["code"], gone["messageId"], gone["retryable"]) == ("unavailable", "m-1", True)


async def test_one_bad_frame_of_a_batch_spoils_no_other_and_each_pair_stays_in_order(desk: Desk) -> None:
    batch = [chat("m-1"), chat("m-2", to="x"), chat("m-3"), 7, chat("m-4", to=EVE), chat("m-5")]
    answers = await desk.hear(json.dumps(batch))
    told = [(each["type"], each.get("messageId")) for each in answers]
    assert told[:2] == [("error", "m-2"), ("error", None)], "what is wrong is known at once"
    assert [name for kind, name in told if kind == "sent" and name != "m-4"] == ["m-1", "m-3", "m-5"]
    assert told.count(("sent", "m-4")) == 1
    assert len(told) == 6
    hers = await desk.server.link.command("XRANGE", f"mailbox:{{{ASHA}}}", "-", "+")
    assert [fields[5] for _, fields in hers] == [b"m-1", b"m-3", b"m-5"]
    assert await desk.hear("[]") == []


async def test_what_cannot_be_decoded_in_a_batch_is_refused_by_name_and_its_neighbours_go_on(desk: Desk) -> None:
    half = json.dumps(chat("m-2", message="hi \ud83d"))
    broken = json.dumps(chat("m-4")).replace("hello", 'he said "hello"')
    batch = [json.dumps(chat("m-1")), half, json.dumps(chat("m-3")), broken, json.dumps(chat("m-5"))]
    answers = await desk.hear("[" + ",".join(batch) + "]")
    told = [(each.get("code", each["type"]), each["messageId"]) for each in answers]
    assert told == [("bad_frame", "m-2"), ("bad_json", "m-4"), ("sent", "m-1"), ("sent", "m-3"), ("sent", "m-5")]
    assert len(await mailbox_of(desk.server, ASHA)) == 3


@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])
async def test_a_byte_order_mark_is_skipped(redis: "Redis", dialect: V1 | Seed) -> None:
    desk = Desk(OneServer(redis), dialect)
    (answer,) = await desk.hear("\ufeff" + json.dumps(chat()))
    assert (answer["messageId"], answer.get("status", answer["type"])) == ("m-1", "sent")
    assert (await desk.hear("\ufeff\ufeff" + json.dumps(chat())))[0]["code"] == "bad_json"


@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])
async def test_heartbeats_in_text_are_answered_and_never_end_a_connection(redis: "Redis", dialect: V1 | Seed) -> None:
    desk = Desk(OneServer(redis, bad_frames_per_minute=3), dialect)
    for said, answer in (
        ('{"type":"ping"}', "pong"),
        ('{"type":"pong"}', "unknown_type"),
        ('{"type":"system","message":"x"}', "unknown_type"),
        ('{"type":"error"}', "unknown_type"),
        ("{}", "unknown_type"),
        ("ping", "bad_json"),
        ("", "bad_json"),
        (" ", "bad_json"),
        ("2", "bad_frame"),
        ('"ping"', "bad_frame"),
        ("null", "bad_frame"),
    ):
        for _ in range(4):
            (frame,) = await desk.hear(said)
            assert frame.get("code", frame["type"]) == answer, said
        assert not desk.inbound.too_many_bad, said
    for said in ("x" * 33, "{", "[7" if dialect.joins_frames else "[7]"):
        assert not desk.inbound.too_many_bad
        await desk.hear(said)
    assert desk.inbound.too_many_bad, "what was meant as a frame counts"


async def test_what_does_not_count_is_not_without_end_in_one_message(desk: Desk) -> None:
    await desk.hear(json.dumps([{"type": "x"}] * 10))
    assert not desk.inbound.too_many_bad
    answers = await desk.hear(json.dumps([{"type": "x"}] * 1000))
    assert desk.inbound.too_many_bad
    assert len(answers) == 20


async def test_a_delivered_ack_may_name_chats_by_their_sender_and_message_ids(desk: Desk) -> None:
    ids = await fly(desk, "m-1", "m-2", "m+/=@3", "m-4")
    more = {"type": "ack", "ackType": "delivered", "to": f"+{ASHA}"}
    await desk.nothing(**more, messageId="m-1", messageIds=["m+/=@3", "m+/=@3", "never-sent"])
    assert [entry.stream_id for entry in await mailbox_of(desk.server, RAVI)] == [ids[1], ids[3]]
    told = await receipts(desk.server)
    assert [(sender, kind, sorted(names)) for sender, kind, names in told] == [(RAVI, "delivered", ["m+/=@3", "m-1"])]
    await desk.nothing(**more, messageId="m-1")
    await desk.nothing(**more | {"to": EVE}, messageId="m-2")
    assert await receipts(desk.server) == told, "again, and in another's name, is a silent no-op"
    await desk.nothing(**more, messageId="m-2", streamId=ids[3])
    assert [entry.stream_id for entry in await mailbox_of(desk.server, RAVI)] == [ids[1]], "a streamId says it better"


async def test_a_text_of_control_characters_is_as_long_as_it_is_in_utf8(redis: "Redis") -> None:
    desk = Desk(OneServer(redis), V1())
    said = json.dumps(chat(message="\x01" * 16_000))
    assert len(said) > 90_000
    (answer,) = await desk.hear(said)
    assert (answer["type"], answer["messageId"]) == ("sent", "m-1")
    (answer,) = await desk.hear(json.dumps(chat("m-2", message="x" * 200_000)))
    assert (answer["code"], answer["messageId"]) == ("message_too_large", "m-2")


async def test_the_seed_dialect_knows_no_batches(seed: Desk) -> None:
    (answer,) = await seed.hear(json.dumps([chat()]))
    assert answer["code"] == "bad_frame"
    assert await mailbox_of(seed.server, ASHA) == []


async def test_an_ack_settles_what_is_in_flight_here_and_tells_its_sender(desk: Desk) -> None:
    ids = await fly(desk, "m-1", "m-2", "m-3")
    await desk.nothing(type="ack", ackType="delivered", streamId=ids[0], streamIds=[ids[1], ids[1], "5-0"])
    assert [entry.stream_id for entry in await mailbox_of(desk.server, RAVI)] == [ids[2]]
    told = await receipts(desk.server)
    assert [(sender, kind, sorted(names)) for sender, kind, names in told] == [(RAVI, "delivered", ["m-1", "m-2"])]
    await desk.nothing(type="ack", ackType="delivered", streamIds=ids[:2])
    assert await receipts(desk.server) == told, "again is a silent no-op"


async def test_an_ack_of_what_is_not_in_flight_here_changes_nothing(desk: Desk) -> None:
    await desk.server.messenger.connect(HOLDER, f"account of {RAVI}")
    waiting = await desk.server.send(ASHA, RAVI, "m-1")
    await desk.nothing(type="ack", ackType="delivered", streamIds=[waiting, f"{2**64 - 1}-{2**64 - 1}"])
    assert len(await mailbox_of(desk.server, RAVI)) == 1
    assert await receipts(desk.server) == []


async def answering(link: RedisClient) -> None:
    """Until Redis answers again: between two attempts to connect the link waits."""
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(ApiError):
                await link.command("PING")
                return


async def test_an_ack_that_could_not_be_told_is_refused_and_counts_again(
    own_link: RedisClient, own_valkey: Valkey
) -> None:
    desk = Desk(OneServer(own_link), V1())
    ids = await fly(desk, "m-1")
    await asyncio.to_thread(own_valkey.kill)
    refused = await desk.one(type="ack", ackType="delivered", streamIds=ids)
    assert (refused["code"], refused["component"], refused["retryable"]) == ("unavailable", "ack", True)
    assert not desk.inbound.too_many_bad
    await asyncio.to_thread(own_valkey.start)
    await answering(own_link)
    await desk.nothing(type="ack", ackType="delivered", streamIds=ids)
    assert await mailbox_of(desk.server, RAVI) == []
    assert await receipts(desk.server) == [(RAVI, "delivered", ["m-1"])]


async def test_a_read_is_told_once_and_settles_what_is_in_flight(desk: Desk) -> None:
    ids = await fly(desk, "m-1", "m-2")
    read = {"type": "ack", "ackType": "read", "to": f"+{ASHA}", "messageId": "m-2", "messageIds": ["m-1", "m-1"]}
    for _ in range(2):
        await desk.nothing(**read)
    assert await receipts(desk.server) == [(RAVI, "read", ["m-1", "m-2"])]
    assert await mailbox_of(desk.server, RAVI) == []
    assert not any(stream_id in desk.flights for stream_id in ids)


async def test_a_read_of_what_nobody_sent_is_silent(desk: Desk) -> None:
    await desk.nothing(type="ack", ackType="read", to=ASHA, messageIds=["m-1"])
    await desk.nothing(type="ack", ackType="read", to="9999999999", messageIds=["m-1"])
    assert await receipts(desk.server) == []


async def test_as_many_bad_frames_as_allowed_in_a_minute_are_too_many(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(OneServer(redis, bad_frames_per_minute=3), V1())
    now = [1000.0]
    monkeypatch.setattr("delivery.connection.inbound.time", SimpleNamespace(monotonic=lambda: now[0]))
    for at in (1000, 1030, 1061):  # never three within a minute
        now[0] = float(at)
        await desk.one(**chat(to="x"))
        assert not desk.inbound.too_many_bad
    now[0] = 1089.0
    await desk.one(**chat(to="9999999999"))
    await desk.one(**chat())
    assert not desk.inbound.too_many_bad, "what is refused for another reason is no bad frame"
    answers = await desk.hear(json.dumps([chat(to="x"), chat("m-2")]))
    assert [each["type"] for each in answers] == ["error"], "nothing after it is listened to"
    assert desk.inbound.too_many_bad
    assert len(await mailbox_of(desk.server, ASHA)) == 1
