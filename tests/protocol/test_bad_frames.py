"""Why a frame is broken is said in our own words, and which one is meant by what can be read of it."""

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.bad_frames import NO_NAMES, BadFrame, ack_names, chat_names, explain, watch_names
from protocol.frames import FrameIn, decode

CHAT = {"type": "chat", "to": "9100000001", "messageId": "m-1", "message": "hello"}
FIELDS = st.sampled_from(["type", "to", "messageId", "message", "ackType", "streamId", "streamIds", "messageIds"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
VALUES = JSON | st.sampled_from(["chat", "ack", "ping", "read", "delivered"])


def dumps(frame: Any) -> bytes:
    return json.dumps(frame).encode()


def bad(data: bytes) -> BadFrame | None:
    """How it is broken."""
    try:
        decode(data)
    except BadFrame as broken:
        return broken
    return None


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"to": 7}, ["to must be a string"]),
        ({"message": None, "messageId": []}, ["messageId must be a string", "message must be a string"]),
        ({"type": "ack"}, ["ackType is missing"]),
        ({"type": "ack", "ackType": "sent"}, ["ackType must be delivered or read"]),
        ({"type": "ack", "ackType": "read", "streamIds": [1]}, ["streamIds must be a list of strings"]),
        ({"type": "ack", "ackType": "read", "messageIds": None}, ["messageIds must be a list of strings"]),
        ({"type": "ack", "ackType": ["read"], "to": 1}, ["ackType must be delivered or read", "to must be a string"]),
    ],
)
def test_an_error_names_the_wrong_fields_in_plain_words(changes: dict[str, Any], messages: list[str]) -> None:
    broken = bad(dumps(CHAT | changes))
    assert broken is not None
    assert [error["message"] for error in broken.error.errors or []] == messages
    assert broken.error.body()["message"] == "; ".join(messages)


@pytest.mark.parametrize("frame", get_args(FrameIn), ids=lambda frame: frame.__name__)
def test_each_field_of_each_frame_is_named_when_it_is_wrong_or_missing(frame: type[msgspec.Struct]) -> None:
    fields, tag = msgspec.structs.fields(frame), frame.__struct_config__.tag
    wrong = {field.encode_name: {} for field in fields}
    required = {field.encode_name for field in fields if field.required}
    for values, named in ((wrong, wrong.keys()), ({}, required)):
        broken = bad(dumps({"type": tag} | values))
        assert (broken is None) is (not named)
        if broken is not None:
            assert (broken.kind, {each["field"] for each in broken.error.errors or ()}) == (tag, set(named))


def test_an_absent_field_is_reported_as_missing() -> None:
    broken = bad(b'{"type":"chat","messageId":"m"}')
    assert broken is not None
    assert broken.error.body()["message"] == "to is missing; message is missing"


@given(st.dictionaries(FIELDS, VALUES, max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_error_of_a_known_type_names_fields_and_repeats_no_library_text(frame: dict[str, Any]) -> None:
    broken = bad(json.dumps(frame).encode())
    if broken is not None and broken.error.code == "bad_frame":
        messages = [error["message"] for error in broken.error.errors or []]
        assert messages
        assert not [message for message in messages if "`" in message or "Expected" in message or "body" in message]


def test_the_error_of_an_ack_repeats_its_ids_but_has_no_message_id() -> None:
    names = {"to": "+91 (98)", "messageId": "a", "messageIds": ["b c", "\0", *"d" * 20], "streamIds": ["5-1", "x", "*"]}
    broken = bad(dumps({"type": "ack", "ackType": "?"} | names))
    assert broken is not None
    assert broken.names.message_id is None
    assert broken.names.to == "+91 (98)"
    assert broken.names.message_ids[:3] == ("a", "b c", "d")
    assert len(broken.names.message_ids) < 20
    assert broken.names.stream_ids == ("5-1",)


@pytest.mark.parametrize("to", ["<script>", "", "1" * 257, 7, ["9"], None])
def test_what_is_not_a_number_is_not_repeated(to: Any) -> None:
    broken = bad(dumps({"type": "ack", "ackType": "?", "to": to}))
    assert broken is not None
    assert broken.names.to is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "the frame is not valid JSON"),
        (b"7", "a frame is a JSON object"),
        (rb'{"type":"chat","to":"9","messageId":"m","message":"\ud800"}', "message is not valid Unicode"),
        (rb'{"type":"ack","ackType":"read","x":["\udc00"]}', "a text is not valid Unicode"),
        (b'{"type":"chat","type":"ack"}', "ackType is missing"),
        (b'{"type":"hello"}', "This type of frame is unknown."),
    ],
)
def test_messages_speak_of_frames(data: bytes, message: str) -> None:
    assert explain(data).error.body()["message"].startswith(message)


def test_only_short_and_plain_names_are_repeated() -> None:
    assert chat_names("m", "+91 98") == ("m", "+91 98", (), (), ())
    for name in ("", "m\n", "\u200b", "m" * 257, None, 1.5, True, 2**53, ["m"], {"m": 1}):
        assert chat_names(name, None) == NO_NAMES
    assert ack_names("9", ["a", 7, None, "b\0"], ["5-0", "$", 7, ""]) == (None, "9", ("a",), ("5-0",), ())
    many = ack_names(None, ["a"] * 1000, ["5-0"] * 1000)
    assert (len(many.message_ids), len(many.stream_ids)) == (16, 16)
    assert watch_names(["+91 98", 7, "x", ""]).mobile_nos == ("+91 98",)
    assert len(watch_names(["9"] * 1000).mobile_nos) == 16
    assert watch_names("9") == watch_names(None) == NO_NAMES
