"""Every frame and every code is described; each example is what its schema says."""

import ast
import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from referencing import Registry, Resource

from handlers.openapi import ON_ANY_PATH
from handlers.operations import OPERATIONS
from protocol import frames
from protocol.described_frames import (
    BEFORE_THE_UPGRADE,
    DIALECTS,
    KINDS,
    NOT_SENT,
    ON_THE_SOCKET,
    FrameKind,
    as_sent,
    kinds,
    schemas,
)
from protocol.dialects import V1, Hello, Seed
from protocol.entries import Chat, OwnChat, OwnRead, Receipt
from protocol.errors import ERRORS, ApiError

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = schemas("{name}.json")
REGISTRY: Registry[Any] = Registry().with_resources(
    (f"{name}.json", Resource.from_contents({"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema))
    for name, schema in SCHEMAS.items()
)
CHAT = Chat("1795502489474-0", "919800000002", "m1", "hello")
RECEIPT = Receipt("1795502489474-0", "919800000002", "read", ["m1", "m2"])
HELLO = Hello("host.alone.0", "c1", "primary", "919800000001", "Asha", "e1", 256, 16384, 20.0)


def complaints(name: str, frame: Any) -> list[str]:
    """What is wrong with a frame."""
    closed = SCHEMAS[name] | {"unevaluatedProperties": False}
    validator = jsonschema.Draft202012Validator(closed, registry=REGISTRY)
    return [error.message for error in validator.iter_errors(frame)]


def test_no_frame_is_missing() -> None:
    structs = {each for each in vars(frames).values() if isinstance(each, type) and issubclass(each, frames._Frame)}
    assert {kind.struct for kind in KINDS} == structs - {frames._Frame}
    assert {kind.struct for kind in KINDS if kind.sender == "client"} == set(get_args(frames.FrameIn))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_examples_are_as_their_schema_says(kind: FrameKind) -> None:
    for example in kind.examples:
        assert complaints(kind.name, as_sent(example)) == []
    assert complaints(kind.name, {"type": kind.type, "to": 7})
    assert kind.struct.__doc__


@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=DIALECTS)
def test_what_a_dialect_sends_is_described_for_it(dialect: Any) -> None:
    """Each method of the dialect, and nothing it makes is of another dialect."""
    name = DIALECTS[isinstance(dialect, Seed)]
    sent = [
        *dialect.hello(HELLO),
        *dialect.sent("m1", "919800000002", 1),
        *dialect.chat(CHAT, "919800000001", "offline"),
        *dialect.receipt(RECEIPT, "919800000001"),
        *dialect.own_chat(OwnChat("2-0", "919800000002", "m1", "hello", 1, "phone")),
        *dialect.own_read(OwnRead("3-0", "919800000002", ["m2"], "phone")),
        *dialect.synced(3),
        *dialect.resync("e2", "lost"),
        *dialect.error(ApiError("no_such_person"), "chat"),
        *dialect.pong(),
        *dialect.presence("919800000001", False, 5),
        *dialect.typing("919800000001", True),
    ]
    described = list(kinds("server", name))
    seen = set()
    for each in map(json.loads, sent):
        fitting = [kind.name for kind in described if kind.type == each["type"] and not complaints(kind.name, each)]
        assert fitting, each
        seen.update(fitting)
    assert seen == {kind.name for kind in described}


BAD_ACKS = [
    {"type": "ack", "ackType": "delivered"},
    {"type": "ack", "ackType": "read", "streamId": "1-0"},
    {"type": "ack", "ackType": "read", "to": "919800000001"},
    {"type": "ack", "ackType": "delivered", "streamIds": ["1-0"] * 1001},
    {"type": "ack", "ackType": "expired", "streamId": "1-0"},
]


def test_acks_that_name_nothing_do_not_fit() -> None:
    assert [ack for ack in BAD_ACKS if not complaints("AckIn", ack)] == []


# ---- codes


def test_every_code_is_described_somewhere_or_said_to_be_sent_nowhere() -> None:
    http = {code for operation in OPERATIONS.values() for code in operation.all_codes} | set(ON_ANY_PATH)
    described = http | set(ON_THE_SOCKET) | set(BEFORE_THE_UPGRADE)
    assert sorted(set(ERRORS) - described) == sorted(NOT_SENT)
    assert sorted(described - set(ERRORS)) == []


def codes_in(*patterns: str) -> set[str]:
    """Each code that stands in an ``ApiError(…)`` or a ``BadFrame(…)`` of these files."""
    found = set()
    for path in (path for pattern in patterns for path in ROOT.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("ApiError", "BadFrame") and node.args:
                found |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
    return found


ELSEWHERE = {
    "bad_device": "of a log-in",
    "too_many_devices": "closes with 4504",
    "too_many_requests": "before the upgrade",
}
"""Codes that stand in those folders and come in no frame -> where they come."""


def test_every_code_that_a_session_meets_is_one_of_the_socket() -> None:
    found = codes_in("delivery/session/*.py", "delivery/mailbox.py", "delivery/user_records.py", "protocol/*.py")
    assert {"self_message", "mailbox_full", "bad_json"} <= found
    assert sorted(found - set(ON_THE_SOCKET) - set(ELSEWHERE)) == []


def test_fields_of_frames_are_read_as_they_were() -> None:
    """Their types describe; only other code refuses, with codes of its own."""
    chat = {"type": "chat", "to": "x" * 100, "messageId": "a b", "message": ""}
    assert frames.decode(msgspec.json.encode(chat)).to == "x" * 100  # type: ignore[union-attr]
