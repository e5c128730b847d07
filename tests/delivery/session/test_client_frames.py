"""What a client sends: each refusal by its code and names, which bad frames count, and what it costs."""

import json
from typing import Any

import pytest

from delivery.session import client_frames as module
from delivery.session import effects as do
from delivery.session.effects import StoreChats
from protocol.dialects import V1, Seed
from tests.support.messaging import ASHA, EVE, RAVI
from tests.support.sessions import DrivenSession, Frame, chat_entry, chat_frame

DIALECTS = pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])


def ack(**fields: Any) -> Frame:
    return {"type": "ack", "ackType": "delivered"} | fields


@pytest.mark.parametrize(
    ("frame", "code", "component", "names"),
    [
        (chat_frame(to="x"), "bad_mobile", "chat", {"messageId": "m-1"}),
        (chat_frame(to="12 34"), "bad_mobile", "chat", {"messageId": "m-1", "to": "12 34"}),
        (chat_frame("a b"), "bad_message_id", "chat", {"messageId": "a b", "to": ASHA}),
        (chat_frame("a b", to=f"+{ASHA}"), "bad_message_id", "chat", {"messageId": "a b", "to": ASHA}),
        (chat_frame("m" * 129), "bad_message_id", "chat", {"messageId": "m" * 129, "to": ASHA}),
        (chat_frame("m" * 257), "bad_message_id", "chat", {"to": ASHA}),
        (chat_frame("m\0"), "bad_message_id", "chat", {"to": ASHA}),
        (chat_frame("a b", to="x"), "bad_mobile", "chat", {"messageId": "a b"}),
        (chat_frame(to=RAVI), "self_message", "chat", {"messageId": "m-1", "to": RAVI}),
        (chat_frame(message=""), "message_empty", "chat", {"messageId": "m-1", "to": ASHA}),
        (chat_frame(message="\u200b"), "message_empty", "chat", {"messageId": "m-1", "to": ASHA}),
        (chat_frame(message="\ufeff\u2060 \u00ad"), "message_empty", "chat", {"messageId": "m-1", "to": ASHA}),
        (chat_frame(message="é" * 51), "message_too_large", "chat", {"messageId": "m-1", "to": ASHA}),
        (chat_frame(message=7), "bad_frame", "chat", {"messageId": "m-1", "to": ASHA}),
        (chat_frame(message="half \ud83d"), "bad_frame", "chat", {"messageId": "m-1", "to": ASHA}),
        ({"type": "hello"}, "unknown_type", "frame", {}),
        (chat_frame() | {"type": "message"}, "unknown_type", "frame", {"messageId": "m-1", "to": ASHA}),
        (ack(), "bad_frame", "ack", {}),
        (ack(messageId="m"), "bad_frame", "ack", {"messageIds": ["m"]}),
        (ack(to=ASHA), "bad_frame", "ack", {"to": ASHA}),
        (ack(to=ASHA, messageId="a b"), "bad_message_id", "ack", {"to": ASHA, "messageIds": ["a b"]}),
        (ack(streamIds=["5-0", "*"]), "bad_stream_id", "ack", {"streamIds": ["5-0"]}),
        (ack(ackType="expired", streamId="5-0"), "bad_frame", "ack", {"streamIds": ["5-0"]}),
        (ack(ackType="read", to=ASHA), "bad_frame", "ack", {"to": ASHA}),
        (ack(ackType="read", messageId="m"), "bad_frame", "ack", {"messageIds": ["m"]}),
        (ack(ackType="read", to="x", messageId="m"), "bad_mobile", "ack", {"messageIds": ["m"]}),
        (
            ack(ackType="read", to=ASHA, messageIds=["m", "\0"]),
            "bad_message_id",
            "ack",
            {"to": ASHA, "messageIds": ["m"]},
        ),
        (ack(streamIds=["5-0"] * (module.MOST_NAMES + 1)), "bad_frame", "ack", {"streamIds": ["5-0"] * 16}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@DIALECTS
def test_refusals(frame: Frame, code: str, component: str, names: Frame, dialect: V1 | Seed) -> None:
    driven = DrivenSession(dialect, max_message_bytes=100).follow()
    (answer,) = driven.answers(frame)
    assert (answer["type"], answer["code"], answer["component"]) == ("error", code, component)
    assert answer["retryable"] is False
    assert {name: answer[name] for name in ("messageId", "to", "messageIds", "streamIds") if name in answer} == names
    assert driven.effects == []


@pytest.mark.parametrize(
    ("data", "code"), [(b"{}", "binary_frame"), ("hello", "bad_json"), ("[", "bad_json"), ("7", "bad_frame")]
)
def test_what_is_no_frame_at_all(data: str | bytes, code: str) -> None:
    (answer,) = DrivenSession().follow().answers(data)
    assert (answer["code"], answer["component"]) == (code, "frame")


def test_a_number_is_cleaned_and_a_text_is_measured_in_utf8() -> None:
    driven = DrivenSession(max_message_bytes=100).follow()
    driven.message(chat_frame(to=f"+{ASHA[:2]} ({ASHA[2:]})", message="é" * 50))
    store = driven.one(StoreChats)
    assert (store.to, store.chats) == (ASHA, [("m-1", "é" * 50)])


def test_a_text_of_control_characters_is_as_long_as_it_is_in_utf8() -> None:
    driven = DrivenSession().follow()
    frame = chat_frame(message="\x01" * 16_000)
    assert len(json.dumps(frame)) > 90_000
    driven.message(frame)
    assert len(driven.one(StoreChats).chats[0][1]) == 16_000
    (answer,) = driven.answers(chat_frame("m-2", message="x" * 200_000))
    assert (answer["code"], answer["messageId"]) == ("message_too_large", "m-2")


def test_one_bad_frame_of_an_array_spoils_no_other_and_each_pair_stays_in_order() -> None:
    driven = DrivenSession().follow()
    frames = [chat_frame("m-1"), chat_frame("m-2", to="x"), chat_frame("m-3"), 7, chat_frame("m-4", to=EVE)]
    answers = driven.answers(json.dumps([*frames, chat_frame("m-5")]))
    assert [(each["type"], each.get("messageId")) for each in answers] == [("error", "m-2"), ("error", None)]
    stores = {store.to: [name for name, _ in store.chats] for store in driven.take(StoreChats)}
    assert stores == {ASHA: ["m-1", "m-3", "m-5"], EVE: ["m-4"]}
    assert driven.answers("[]") == []


def test_what_cannot_be_decoded_in_an_array_is_refused_by_name_and_its_neighbours_go_on() -> None:
    driven = DrivenSession().follow()
    half = json.dumps(chat_frame("m-2", message="hi \ud83d"))
    broken = json.dumps(chat_frame("m-4")).replace("hello", 'she said "hello"')
    batch = [json.dumps(chat_frame("m-1")), half, json.dumps(chat_frame("m-3")), broken, json.dumps(chat_frame("m-5"))]
    answers = driven.answers("[" + ",".join(batch) + "]")
    assert [(each["code"], each["messageId"]) for each in answers] == [("bad_frame", "m-2"), ("bad_json", "m-4")]
    assert [name for name, _ in driven.one(StoreChats).chats] == ["m-1", "m-3", "m-5"]


def test_the_seed_dialect_knows_no_arrays() -> None:
    driven = DrivenSession(Seed()).follow()
    (answer,) = driven.answers(json.dumps([chat_frame()]))
    assert (answer["code"], driven.effects) == ("bad_frame", [])


def test_an_array_longer_than_allowed_is_refused_as_a_whole() -> None:
    driven = DrivenSession().follow()
    frames = [chat_frame(f"m-{n}", message="x" * 10_000) for n in range(7)]
    (answer,) = driven.answers(json.dumps(frames))
    assert (answer["code"], "64 KiB" in answer["message"], driven.effects) == ("bad_frame", True, [])


@DIALECTS
def test_a_byte_order_mark_is_skipped(dialect: V1 | Seed) -> None:
    driven = DrivenSession(dialect).follow()
    driven.message("\ufeff" + json.dumps(chat_frame()))
    assert [name for name, _ in driven.one(StoreChats).chats] == ["m-1"]
    assert driven.answers("\ufeff\ufeff" + json.dumps(chat_frame()))[0]["code"] == "bad_json"


@DIALECTS
def test_heartbeats_in_text_are_answered_and_never_end_a_connection(dialect: V1 | Seed) -> None:
    driven = DrivenSession(dialect, bad_frames_per_minute=3).follow()
    for said, answer in (
        ('{"type":"ping"}', "pong"),
        ('{"type":"pong"}', "unknown_type"),
        ('{"type":"system","message":"x"}', "unknown_type"),
        ("{}", "unknown_type"),
        ("ping", "bad_json"),
        ("", "bad_json"),
        (" ", "bad_json"),
        ("2", "bad_frame"),
        ('"ping"', "bad_frame"),
        ("null", "bad_frame"),
    ):
        for _ in range(4):
            (frame,) = driven.answers(said)
            assert frame.get("code", frame["type"]) == answer, said
        assert not driven.session.ended, said
    for said in ("x" * 33, "{", "[7" if dialect.joins_frames else "[7]"):
        assert not driven.session.ended
        driven.message(said)
    assert driven.one(do.CloseSocket).close.code == 4503, "what was meant as a frame counts"


def test_harmless_frames_are_not_without_end_in_one_message() -> None:
    driven = DrivenSession().follow()
    driven.message(json.dumps([{"type": "x"}] * 10))
    assert not driven.session.ended
    driven.sent()
    answers = driven.answers(json.dumps([{"type": "x"}] * 1000))
    assert (driven.session.ended, len(answers)) == (True, 20)


def test_as_many_bad_frames_as_are_allowed_in_a_minute_end_the_connection() -> None:
    driven = DrivenSession(bad_frames_per_minute=3).follow()
    for at in (1000, 1030, 1061):  # never three within a minute
        driven.now = float(at)
        driven.message(chat_frame(to="x"))
        assert not driven.session.ended
    driven.sent()
    driven.now = 1089.0
    answers = driven.answers(json.dumps([chat_frame(to="x"), chat_frame("m-2")]))
    assert [each["type"] for each in answers] == ["error"]
    assert (driven.take(StoreChats), driven.one(do.CloseSocket).close.code) == ([], 4503), "nothing after it is handled"
    assert driven.one(do.Penalize).cause == "violation"


UNKNOWN = ack(streamIds=["1-1"] * 1000)


@DIALECTS
def test_work_beyond_what_is_allowed_is_a_pause(dialect: V1 | Seed) -> None:
    driven = DrivenSession(dialect, data_frames_per_second=100, data_frames_burst=300).follow()
    assert driven.message(UNKNOWN) == 0.0
    pause = driven.message(UNKNOWN)
    assert 1.5 < pause < 2.5, "two times 251 units, of which 300 were there"
    assert driven.message('{"type":"ping"}') > pause
    assert not driven.session.ended


@DIALECTS
def test_acknowledgements_of_entries_in_flight_are_free_and_only_once(dialect: V1 | Seed) -> None:
    driven = DrivenSession(dialect, data_frames_per_second=1, data_frames_burst=1).follow()
    ids = driven.deliver(*[chat_entry(n) for n in range(5)])
    assert [driven.message(ack(streamId=stream_id)) for stream_id in ids] == [0.0] * 5
    assert driven.message(ack(streamIds=ids)) > 0.0


def test_acknowledgements_by_name_of_chats_in_flight_are_free_too() -> None:
    driven = DrivenSession(data_frames_per_second=1, data_frames_burst=1).follow()
    driven.deliver(chat_entry(1))
    assert driven.message(ack(to=ASHA, messageId="m-1")) == 0.0
    assert driven.message(ack(to=ASHA, messageId="m-1")) > 0.0


def test_a_client_that_stops_for_a_while_begins_anew() -> None:
    driven = DrivenSession(data_frames_per_second=100, data_frames_burst=100).follow()
    for _ in range(30):
        driven.message(UNKNOWN)
        driven.now += 10.0
    assert not driven.session.ended
    for _ in range(30):
        driven.message(UNKNOWN)
        driven.now += 1.5
    assert driven.one(do.CloseSocket).close.code == 1008
