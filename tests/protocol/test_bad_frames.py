"""Why a frame is refused is said in our own words, and which one is meant by what can be read of it."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.bad_frames import NOTHING, BadFrame, explain, name_ack, name_chat
from protocol.frames import decode

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
    """How it is refused."""
    try:
        decode(data)
    except BadFrame as refused:
        return refused
    return None


@pytest.mark.parametrize(
    ("changes", "sentences"),
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
def test_what_is_wrong_is_said_in_our_own_words(changes: dict[str, Any], sentences: list[str]) -> None:
    refused = bad(dumps(CHAT | changes))
    assert refused is not None
    assert [error["message"] for error in refused.refusal.errors or []] == sentences
    assert refused.refusal.body()["message"] == "; ".join(sentences)


def test_a_field_that_is_not_there_is_missing() -> None:
    refused = bad(b'{"type":"chat","messageId":"m"}')
    assert refused is not None
    assert refused.refusal.body()["message"] == "to is missing; message is missing"


@given(st.dictionaries(FIELDS, VALUES, max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_refusal_of_a_known_type_says_what_is_wrong_without_the_librarys_words(frame: dict[str, Any]) -> None:
    refused = bad(json.dumps(frame).encode())
    if refused is not None and refused.refusal.code == "bad_frame":
        sentences = [error["message"] for error in refused.refusal.errors or []]
        assert sentences
        assert not [
            sentence for sentence in sentences if "`" in sentence or "Expected" in sentence or "body" in sentence
        ]


def test_an_ack_is_named_by_its_ids_and_never_by_a_message_id_of_its_own() -> None:
    names = {"to": "+91 (98)", "messageId": "a", "messageIds": ["b c", "\0", *"d" * 20], "streamIds": ["5-1", "x", "*"]}
    refused = bad(dumps({"type": "ack", "ackType": "?"} | names))
    assert refused is not None
    assert refused.named.message_id is None
    assert refused.named.to == "+91 (98)"
    assert refused.named.message_ids[:3] == ("a", "b c", "d")
    assert len(refused.named.message_ids) < 20
    assert refused.named.stream_ids == ("5-1",)


@pytest.mark.parametrize("to", ["<script>", "", "1" * 257, 7, ["9"], None])
def test_what_is_no_number_is_not_repeated(to: Any) -> None:
    refused = bad(dumps({"type": "ack", "ackType": "?", "to": to}))
    assert refused is not None
    assert refused.named.to is None


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"{", "the frame is not valid JSON"),
        (b"7", "a frame is a JSON object"),
        (rb'{"type":"chat","to":"9","messageId":"m","message":"\ud800"}', "message is not valid Unicode"),
        (rb'{"type":"ack","ackType":"read","x":["\udc00"]}', "a text is not valid Unicode"),
        (b'{"type":"chat","type":"ack"}', "ackType is missing"),
        (b'{"type":"hello"}', "This type of frame is unknown."),
    ],
)
def test_sentences_are_about_frames(data: bytes, sentence: str) -> None:
    assert explain(data).refusal.body()["message"].startswith(sentence)


def test_names_are_short_and_plain_or_not_repeated() -> None:
    assert name_chat("m", "+91 98") == ("m", "+91 98", (), ())
    for name in ("", "m\n", "\u200b", "m" * 257, None, 1.5, True, 2**53, ["m"], {"m": 1}):
        assert name_chat(name, None) == NOTHING
    assert name_ack("9", ["a", 7, None, "b\0"], ["5-0", "$", 7, ""]) == (None, "9", ("a",), ("5-0",))
    many = name_ack(None, ["a"] * 1000, ["5-0"] * 1000)
    assert (len(many.message_ids), len(many.stream_ids)) == (16, 16)
