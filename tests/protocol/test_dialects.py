"""The same content in both dialects. The seed dialect never changes: these are its exact fields."""

import json
from typing import Any

import pytest

from protocol.bad_frames import FrameNames
from protocol.dialects import V1, Dialect, Hello, Seed
from protocol.entries import Chat, Receipt
from protocol.errors import ERRORS, ApiError

A, B = "919800000001", "919800000002"
HELLO = Hello("server-1", "connection-1", "primary", A, "Asha", "epoch-1", 256, 16384, 20)
CHAT = Chat("1700000000123-0", B, "m1", "héllo")
RECEIPT = Receipt("1700000000456-1", B, "read", ["m1", "m2"])


def _decoded(frames: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in frames]


def test_the_seed_dialect_greets_with_a_system_frame() -> None:
    assert _decoded(Seed().hello(HELLO)) == [
        {"type": "system", "message": "dear user:Asha you are connected to the server!"}
    ]


def test_hello_names_everything_a_client_has_to_know() -> None:
    assert _decoded(V1().hello(HELLO)) == [
        {
            "type": "hello",
            "serverId": "server-1",
            "connectionId": "connection-1",
            "deviceId": "primary",
            "mobileNo": A,
            "epoch": "epoch-1",
            "window": 256,
            "maxMessageBytes": 16384,
            "pingSeconds": 20,
            "protocol": "wm.v1",
        }
    ]


@pytest.mark.parametrize("dialect", [Seed(), V1()])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_chat_is_the_same_in_both(dialect: Dialect, mode: Any) -> None:
    assert _decoded(dialect.chat(CHAT, A, mode)) == [
        {
            "type": "chat",
            "to": A,
            "from": B,
            "messageId": "m1",
            "message": "héllo",
            "mode": mode,
            "timestamp": 1_700_000_000_123,
            "streamId": "1700000000123-0",
        }
    ]


def test_a_receipt_is_one_frame_or_one_for_each_chat() -> None:
    common = {"type": "ack", "to": A, "from": B, "ackType": "read"}
    place = {"timestamp": 1_700_000_000_456, "streamId": "1700000000456-1"}
    assert _decoded(V1().receipt(RECEIPT, A)) == [common | place | {"messageIds": ["m1", "m2"]}]
    assert _decoded(Seed().receipt(RECEIPT, A)) == [
        common | place | {"messageId": "m1"},
        common | place | {"messageId": "m2"},
    ]


def test_the_single_tick() -> None:
    facts = {"messageId": "m1", "to": B, "timestamp": 7}
    assert _decoded(V1().sent("m1", B, 7)) == [{"type": "sent"} | facts]
    (seed,) = _decoded(Seed().sent("m1", B, 7))
    assert seed.items() >= ({"type": "system", "status": "sent"} | facts).items()


def test_the_seed_dialect_has_no_synced_frame() -> None:
    assert Seed().synced(3) == []
    assert _decoded(V1().synced(0)) == [{"type": "synced", "count": 0}]


def test_resync_in_both_dialects() -> None:
    assert _decoded(V1().resync("e2", "why")) == [{"type": "resync", "epoch": "e2", "reason": "why"}]
    assert _decoded(Seed().resync("e2", "why")) == [
        {"type": "system", "message": "why", "code": "resync", "epoch": "e2"}
    ]


def test_an_unknown_recipient_is_spelled_as_the_original_did() -> None:
    (seed,) = _decoded(Seed().error(ApiError("no_such_person"), "chat", FrameNames("m1", B)))
    assert (seed["component"], seed["code"]) == ("user does not exists", "no_such_person")
    assert (seed["messageId"], seed["to"]) == ("m1", B)
    (v1,) = _decoded(V1().error(ApiError("no_such_person"), "chat", FrameNames("m1")))
    assert v1["component"] == "chat"


@pytest.mark.parametrize("dialect", [Seed(), V1()])
@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_says_whether_a_retry_can_succeed(dialect: Dialect, code: str) -> None:
    (frame,) = _decoded(dialect.error(ApiError(code), "chat"))
    assert (frame["type"], frame["code"], frame["retryable"]) == ("error", code, ERRORS[code].retryable)
    assert frame["message"]
    assert ("retryAfter" in frame) == ERRORS[code].retryable


@pytest.mark.parametrize("dialect", [Seed(), V1()])
def test_an_error_names_the_frame_it_is_about(dialect: Dialect) -> None:
    (nameless,) = _decoded(dialect.error(ApiError("bad_json"), "frame"))
    assert not nameless.keys() & {"messageId", "to", "messageIds", "streamIds"}
    (chat,) = _decoded(dialect.error(ApiError("mailbox_full"), "chat", FrameNames("m1", B)))
    assert chat.items() >= {"messageId": "m1", "to": B}.items()
    assert not chat.keys() & {"messageIds", "streamIds"}
    (ack,) = _decoded(dialect.error(ApiError("unavailable"), "ack", FrameNames(None, B, ("m1", "m2"), ("5-0",))))
    assert ack.items() >= {"to": B, "messageIds": ["m1", "m2"], "streamIds": ["5-0"]}.items()
    assert "messageId" not in ack


@pytest.mark.parametrize("dialect", [Seed(), V1()])
def test_a_ping_frame_is_answered(dialect: Dialect) -> None:
    assert _decoded(dialect.pong()) == [{"type": "pong"}]
