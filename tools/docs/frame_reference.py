"""The page of all frames, made of the description that ``GET /asyncapi.json`` answers."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from protocol import asyncapi
from tools.docs.schemas import Schemas

_INTRODUCTION: Final = """\
# Frame reference

Every frame of the socket, made from the description that a running server gives at `/asyncapi.json`. The rules (when
to send again, what to acknowledge, what ends a connection) are in [the protocol](PROTOCOL.md#3-the-socket).

A frame is one JSON object. A field with a question mark may be absent; fields that you do not know are to be passed
over. Frames of `wm.v1` come first. [What is different in the seed dialect](#frames-of-the-seed-dialect) is at the end.
"""
_SENDERS: Final = (("receive", "From the client"), ("send", "From the server"))


def page() -> str:
    """The Markdown. Links are those of a file in ``docs/``."""
    described = json.loads(asyncapi.document())
    schemas = Schemas(described)
    lines = [_INTRODUCTION, "## Types", "", *schemas.types(), ""]
    for action, title in _SENDERS:
        lines += [f"## {title}", ""]
        for name in _frames(described, "v1", action):
            lines += _frame(described, schemas, name)
    lines += ["## Frames of the seed dialect", "", described["channels"]["seed"]["description"], ""]
    shared = [name for action, _ in _SENDERS for name in _frames(described, "seed", action)]
    known = set(described["channels"]["v1"]["messages"])
    titles = ", ".join(f"`{_message(described, name)['name']}` ({_from(name)})" for name in shared if name in known)
    lines += [f"These are as in `wm.v1`: {titles}. The others:", ""]
    for name in shared:
        if name not in known:
            lines += _frame(described, schemas, name, " (seed dialect)")
    return "\n".join([*lines, *_refused_upgrades(described), *_close_codes(described)])


def _from(name: str) -> str:
    return "client" if name.endswith("In") else "server"


def _frames(described: Mapping[str, Any], channel: str, action: str) -> Iterator[str]:
    for operation in described["operations"].values():
        if operation["action"] == action and operation["channel"]["$ref"].endswith(f"/{channel}"):
            yield from (message["$ref"].rpartition("/")[2] for message in operation["messages"])


def _message(described: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    message: Mapping[str, Any] = described["components"]["messages"][name]
    return message


def _frame(described: Mapping[str, Any], schemas: Schemas, name: str, suffix: str = "") -> list[str]:
    message = _message(described, name)
    examples = [json.dumps(each["payload"], ensure_ascii=False) for each in message["examples"][:3]]
    return [
        f"### `{message['name']}` from the {_from(name)}{suffix}",
        "",
        message["summary"],
        "",
        "```json",
        *examples,
        "```",
        "",
        *schemas.table(message["payload"]),
        "",
    ]


def _refused_upgrades(described: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| {each['status']} | `{each['code']}` | {each['message']} |"
        for each in described["channels"]["v1"]["x-refusals"]
    ]
    return ["## When the upgrade is refused", "", "| status | code | meaning |", "|---|---|---|", *rows, ""]


def _close_codes(described: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| {each['code']} | {'yes' if each['reconnect'] else 'no'} | {each['reason']} |"
        for each in described["channels"]["v1"]["x-close-codes"]
    ]
    return ["## When the server closes", "", "| code | reconnect by itself? | reason |", "|---|---|---|", *rows, ""]
