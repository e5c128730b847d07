"""The description of the WebSocket in AsyncAPI 3, both dialects, made of the frames' structs."""

from functools import cache
from typing import Any, Final

import msgspec

from protocol.described_frames import BEFORE_THE_UPGRADE, DIALECTS, KINDS, SEED, FrameKind, as_sent, kinds, schemas
from protocol.dialects import SUBPROTOCOL
from protocol.errors import CLOSES, ERRORS
from protocol.json_schemas import prose

VERSION: Final = "0.2.0"
"""Of the product."""
_CHANNELS: Final = {SUBPROTOCOL: "v1", SEED: SEED}
_TITLES: Final = {
    SUBPROTOCOL: "A connection that offered the subprotocol wm.v1. A message is one frame or an array of frames.",
    SEED: "A connection that did not offer wm.v1: the frames of the original. A message is one frame.",
}
_STANDARD: Final = {
    1002: "a protocol error of the client's",
    1007: "text that is not UTF-8",
    1009: "a message over 256 KiB",
}
_ABOUT: Final = """
`GET` of any path with a WebSocket upgrade (RFC 6455, no extensions) opens a socket. The first of these that is present
identifies the person: `Authorization: Bearer <token>`, `?ticket=`, `?token=`. A refused upgrade is an answer of HTTP
with the body `Problem` of [openapi.json](openapi.json); `x-refusals` of a channel lists its codes.

The operations are the server's: `receive` is what a client sends, `send` is what a client gets. A text message is at
most 256 KiB; an array of frames (wm.v1) at most 64 KiB. Unknown fields are ignored, by the server and by clients.

- **Send with a `messageId` of your own, and again with the same one until there is an answer.**
- **Acknowledge every chat and receipt each time it comes, and drop those whose `streamId` you know.**

docs/PROTOCOL.md in the repository is the prose to this, and docs/vectors has exchanges to test a client with.
"""


@cache
def document() -> bytes:
    """The document, as it is served. It depends on nothing but the code."""
    return msgspec.json.encode(build())


def build() -> dict[str, Any]:
    """The document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "WhatsApp Mini: the WebSocket",
            "version": VERSION,
            "description": _ABOUT.strip(),
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {name: _server(name) for name in ("ws", "wss")},
        "channels": {_CHANNELS[dialect]: _channel(dialect) for dialect in DIALECTS},
        "operations": {name: each for dialect in DIALECTS for name, each in _operations(dialect).items()},
        "components": {
            "messages": {kind.name: _message(kind) for kind in KINDS},
            "schemas": schemas("#/components/schemas/{name}"),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _server(protocol: str) -> dict[str, Any]:
    return {
        "host": "{host}",
        "protocol": protocol,
        "description": "Without TLS, for development" if protocol == "ws" else "Behind a proxy with TLS",
        "variables": {"host": {"default": "localhost:5000", "description": "Host and port."}},
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
    }


def _channel(dialect: str) -> dict[str, Any]:
    headers = {"Sec-WebSocket-Protocol": {"const": SUBPROTOCOL}} if dialect == SUBPROTOCOL else {}
    query = {
        "ticket": {"type": "string", "description": "Of POST /v1/tickets; opens one socket, once."},
        "token": {"type": "string", "description": "Of a log-in, for clients that can set no header."},
    }
    handshake = {
        "method": "GET",
        "query": {"type": "object", "properties": query},
        "headers": {"type": "object", "properties": headers, "required": list(headers)},
        "bindingVersion": "0.1.0",
    }
    names = [kind.name for sender in ("client", "server") for kind in kinds(sender, dialect)]
    return {
        "address": "/",
        "title": dialect,
        "description": f"{_TITLES[dialect]} Any path will do.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"ws": handshake},
        "x-refusals": [
            {"code": code, "status": ERRORS[code].status, "message": ERRORS[code].message}
            for code in BEFORE_THE_UPGRADE
        ],
        "x-close-codes": [
            *({"code": each.code, "reason": each.reason, "reconnect": each.reconnect} for each in CLOSES),
            *({"code": code, "reason": reason, "reconnect": False} for code, reason in _STANDARD.items()),
        ],
    }


def _operations(dialect: str) -> dict[str, dict[str, Any]]:
    """One operation for each frame of clients, with what may answer it, and one for all that comes unasked."""
    channel, sent = _CHANNELS[dialect], {kind.struct: kind for kind in kinds("server", dialect)}
    found: dict[str, dict[str, Any]] = {}
    for kind in kinds("client", dialect):
        answers = [sent[struct].name for struct in kind.answers if struct in sent]
        found[f"{channel}.{kind.type}"] = _operation("receive", channel, [kind.name]) | {
            "summary": prose(kind.struct.__doc__).split("\n")[0],
            "reply": {
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in answers],
            },
        }
    found[f"{channel}.send"] = _operation("send", channel, [kind.name for kind in sent.values()]) | {
        "summary": "What a client may get at any time."
    }
    return found


def _operation(action: str, channel: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _message(kind: FrameKind) -> dict[str, Any]:
    return {
        "name": kind.type,
        "title": f"{kind.type}, from the {kind.sender}",
        "summary": prose(kind.struct.__doc__).split("\n")[0],
        "payload": {"$ref": f"#/components/schemas/{kind.name}"},
        "examples": [{"payload": as_sent(example)} for example in kind.examples],
    }
