"""Frames from bytes and to bytes. Any input is a frame or a BadFrame, and no error repeats what the client wrote."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import frames
from protocol.bad_frames import BadFrame
from protocol.frames import AckIn, ChatIn, decode, decode_seed, encode, split

CHAT = {"type": "chat", "to": "9100000001", "messageId": "m-1", "message": "hello"}


def dumps(frame: Any) -> bytes:
    return json.dumps(frame).encode()


def test_a_chat_has_three_fields_and_no_more() -> None:
    more = {"from": "forged", "mode": "offline", "timestamp": 1, "streamId": "1-1", "x": {"y": [None]}}
    assert decode(dumps(CHAT | more)) == ChatIn("9100000001", "m-1", "hello")
    assert set(ChatIn.__struct_fields__) == {"to", "message_id", "message"}


@pytest.mark.parametrize(
    ("frame", "decoded"),
    [
        ({"ackType": "delivered", "streamId": "5-1"}, AckIn("delivered", stream_id="5-1")),
        ({"ackType": "delivered", "streamIds": ["5-1", "6-1"]}, AckIn("delivered", stream_ids=["5-1", "6-1"])),
        ({"ackType": "read", "to": "9", "messageIds": ["a"]}, AckIn("read", "9", message_ids=["a"])),
        ({"ackType": "read", "to": "9", "messageId": "a", "streamId": None}, AckIn("read", "9", message_id="a")),
    ],
)
def test_acks(frame: dict[str, Any], decoded: AckIn) -> None:
    assert decode(dumps({"type": "ack"} | frame)) == decoded


@pytest.mark.parametrize(
    ("data", "code", "kind", "message_id"),
    [
        (b'{"type":"ping","x":NaN}', "bad_json", "frame", None),
        (b"", "bad_json", "frame", None),
        (b"{", "bad_json", "frame", None),
        (b"{}{}", "bad_json", "frame", None),
        (b"\xff\xfe", "bad_json", "frame", None),
        (b'{"type":"chat","to":"\xff","messageId":"m","message":"x"}', "bad_json", "frame", "m"),
        (rb'{"type":"chat","to":"9","messageId":"m","message":"\ud800"}', "bad_frame", "chat", "m"),
        (b'{"type":"chat","to":"9","messageId":"m","message":NaN}', "bad_json", "frame", "m"),
        (b'{"type":"chat","messageId":"m","message":"she said "hi" and"}', "bad_json", "frame", "m"),
        (b'{"type":"chat","messageId":"m","message":"two\nlines"}', "bad_json", "frame", "m"),
        (rb'{"type":"chat","messageId":"m","message":"C:\path\x"}', "bad_json", "frame", "m"),
        (rb'{"type":"chat","message":"\"messageId\":\"x\"" 1}', "bad_json", "frame", None),
        (b'{"type":"chat","x":{"messageId":"x"},"messageId":"m",}', "bad_json", "frame", "m"),
        (rb'{"type":"chat","messageId":"\ud800","message":"x","to":"9"}', "bad_frame", "chat", None),
        (rb'{"type":"hello","messageId":"m","x":["\udc00"]}', "bad_frame", "frame", "m"),
        (b"[" * 100_000, "bad_json", "frame", None),
        (b'{"x":' * 100_000, "bad_json", "frame", None),
        (b'{"type":"chat","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_json", "frame", None),
        (b"[]", "bad_frame", "frame", None),
        (b"null", "bad_frame", "frame", None),
        (b"{}", "unknown_type", "frame", None),
        (dumps(CHAT | {"type": "hello"}), "unknown_type", "frame", "m-1"),
        (dumps(CHAT | {"type": {"chat": 1}}), "unknown_type", "frame", "m-1"),
        (dumps(CHAT | {"message": 7}), "bad_frame", "chat", "m-1"),
        (dumps(CHAT | {"message": 7, "messageId": "é" * 256}), "bad_frame", "chat", "é" * 256),
        (dumps(CHAT | {"message": 7, "messageId": "m" * 257}), "bad_frame", "chat", None),
        (dumps(CHAT | {"message": 7, "messageId": "m\0"}), "bad_frame", "chat", None),
        (dumps(CHAT | {"message": 7, "messageId": ""}), "bad_frame", "chat", None),
        (dumps(CHAT | {"messageId": 7}), "bad_frame", "chat", 7),
        (dumps(CHAT | {"messageId": 2**60}), "bad_frame", "chat", None),
        (dumps(CHAT | {"messageId": True}), "bad_frame", "chat", None),
        (dumps(CHAT | {"messageId": ["m"]}), "bad_frame", "chat", None),
        (dumps({"type": "ack", "ackType": "sent"}), "bad_frame", "ack", None),
        (dumps({"type": "watch"}), "bad_frame", "watch", None),
        (dumps({"type": "watch", "mobileNos": "9"}), "bad_frame", "watch", None),
        (dumps({"type": "unwatch", "mobileNos": [7]}), "bad_frame", "unwatch", None),
        (dumps({"type": "typing", "to": "9"}), "bad_frame", "typing", None),
        (dumps({"type": "typing", "to": "9", "active": 1}), "bad_frame", "typing", None),
        (dumps({"type": "ack", "ackType": "delivered", "streamIds": [None]}), "bad_frame", "ack", None),
    ],
)
def test_what_is_not_a_frame(data: bytes, code: str, kind: str, message_id: str | int | None) -> None:
    with pytest.raises(BadFrame) as caught:
        decode(data)
    bad = caught.value
    assert (bad.error.code, bad.kind, bad.names.message_id) == (code, kind, message_id)


def bad(data: Any) -> BadFrame | None:
    """How it is broken."""
    try:
        decode(data)
    except BadFrame as broken:
        return broken
    return None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_bad_frame(data: bytes) -> None:
    try:
        parts = split(data)
    except BadFrame as broken:
        parts = []
        code = broken.error.code
    else:
        code = "bad_json"
    assert code == "bad_json"
    codes = {broken.error.code for part in parts if (broken := bad(part))}
    assert codes <= {"bad_json", "bad_frame", "unknown_type"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["type", "to", "messageId", "message", "ackType", "streamId", "streamIds", "messageIds"])
SECRET = "a secret nobody may read"
VALUES = JSON | st.sampled_from(["chat", "ack", "read", "delivered", SECRET])


@given(st.dictionaries(FIELDS, VALUES, max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_error_repeats_what_the_client_wrote(frame: dict[str, Any]) -> None:
    broken = bad(json.dumps(frame).encode())
    if broken is not None:
        assert SECRET not in str(broken.error.body())
        assert SECRET not in str(broken)
        assert SECRET not in str(broken.names._replace(message_id=None, message_ids=()))


@pytest.mark.parametrize("word", [f"a secret - at `$.nowhere` {SECRET}", f"it's {SECRET}", f"'\"{SECRET}"])
def test_the_error_of_a_wrong_ack_type_does_not_repeat_it(word: str) -> None:
    broken = bad(json.dumps({"type": "ack", "ackType": word}).encode())
    assert broken is not None
    (error,) = broken.error.body()["errors"]
    assert error == {"field": "ackType", "message": "ackType must be delivered or read"}


def test_the_error_of_two_types_in_one_frame_does_not_repeat_the_first() -> None:
    broken = bad(f'{{"type":"{SECRET}","to":"9","type":"chat"}}'.encode())
    assert broken is not None
    assert SECRET not in str(broken.error.body())


def test_one_message_holds_one_frame_or_an_array_of_them() -> None:
    assert split(dumps(CHAT)) == [dumps(CHAT)]
    parts = split(b' \n[ {"type":"chat"} , 7 , [1] ]')
    assert [bytes(part) for part in parts] == [b'{"type":"chat"}', b"7", b"[1]"]
    assert split(b"[]") == []
    assert decode(split(dumps([CHAT]))[0]) == ChatIn("9100000001", "m-1", "hello")


def test_in_an_array_each_frame_is_decoded_by_itself() -> None:
    half = rb'{"type":"chat","to":"9","messageId":"m-2","message":"hi \ud83d"}'
    for wrong in (half, b"nope", b"", b'{"a":"\xff"}', b'{"x":[{"y":1},]}', b'{"a":"b"c"d"}', b"NaN", b'"\n"'):
        parts = [bytes(part) for part in split(b"[" + dumps(CHAT) + b" , " + wrong + b",\n" + dumps(CHAT) + b"]")]
        assert parts == [dumps(CHAT), wrong, dumps(CHAT)]
        assert bad(wrong) is not None
        assert decode(parts[2]) == ChatIn("9100000001", "m-1", "hello")


CHATS = st.fixed_dictionaries(
    {"type": st.just("chat"), "to": st.text(), "messageId": st.text(), "message": st.text() | st.lists(st.text())}
)


@given(st.lists(CHATS, min_size=1), st.data())
def test_an_array_with_a_broken_text_is_still_divided_into_its_frames(
    chats: list[dict[str, Any]], data: st.DataObject
) -> None:
    written = [json.dumps(chat, ensure_ascii=data.draw(st.booleans())).encode() for chat in chats]
    cut = rb'{"type":"chat","to":"9","messageId":"cut","message":"\ud83d"}'
    written.insert(data.draw(st.integers(0, len(written))), cut)
    assert [bytes(part) for part in split(b"[" + b",".join(written) + b"]")] == written


@pytest.mark.parametrize("data", [b"[", b"[1,", b"[1]x", b"[" * 100_000, b'["a]', b"[}", b"[{]}]", b'[{"a":1]'])
def test_a_broken_array_is_one_error(data: bytes) -> None:
    with pytest.raises(BadFrame, match="bad_json"):
        split(data)


def test_frames_out_are_spelled_as_the_seed_spelled_them() -> None:
    out = frames.ChatOut(
        to="1", sender="2", message_id="m", message="é\u2028</script>", mode="online", timestamp=5, stream_id="5-0"
    )
    assert json.loads(encode(out)) == {
        "type": "chat",
        "to": "1",
        "from": "2",
        "messageId": "m",
        "message": "é\u2028</script>",
        "mode": "online",
        "timestamp": 5,
        "streamId": "5-0",
    }


def test_fields_without_a_value_are_left_out() -> None:
    assert json.loads(encode(frames.SystemOut(message="x"))) == {"type": "system", "message": "x"}
    error = frames.ErrorOut(code="c", component="chat", message="x", retryable=False)
    assert json.loads(encode(error)) == {
        "type": "error",
        "code": "c",
        "component": "chat",
        "message": "x",
        "retryable": False,
    }


def test_every_frame_out_has_a_type_of_its_own_and_camel_case() -> None:
    out = [each for name, each in vars(frames).items() if name.endswith("Out")]
    tags = {each.__struct_config__.tag for each in out}
    both = {"chat", "ack", "error", "pong"}
    of_v1 = {"hello", "resync", "synced", "sent", "own", "ownRead", "presence", "typing"}
    assert tags == {"system", *both, *of_v1}
    names = [field.encode_name for each in out for field in msgspec.structs.fields(each)]
    assert not [name for name in names if "_" in name or name[0].isupper()]


@pytest.mark.parametrize("frame", [{"type": "watch", "mobileNos": ["9"]}, {"type": "unwatch", "mobileNos": 7},
                                   {"type": "typing", "to": "9", "active": True}])  # fmt: skip
def test_to_the_seed_dialect_what_the_original_had_not_is_unknown(frame: dict[str, Any]) -> None:
    with pytest.raises(BadFrame) as caught:
        decode_seed(dumps(frame))
    names = caught.value.names
    assert (caught.value.error.code, caught.value.kind) == ("unknown_type", "frame")
    assert (names.to, names.mobile_nos) == (frame.get("to"), ())
    assert decode_seed(dumps(CHAT)) == decode(dumps(CHAT))


def test_a_refused_watch_names_its_first_numbers() -> None:
    broken = bad(dumps({"type": "watch", "mobileNos": ["9", 7]}))
    assert broken is not None
    assert broken.names.mobile_nos == ("9",)
