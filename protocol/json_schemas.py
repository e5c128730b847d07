"""JSON Schemas (2020-12) of structs, as clients see what is read and what is sent."""

import inspect
import re
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from protocol import fields

Schema = dict[str, Any]
REF: Final = "#/components/schemas/{name}"
_NO_DEFAULTS: Final[tuple[list[Any], int]] = ([], 2**63 - 1)
"""What means the same as if the field were not there."""
_ROLE: Final = re.compile(r":\w+:(?=`)")
_WRAPPED: Final = re.compile(r"(?<!\n)\n(?!\n|- )")

_NAMED: Final = {
    name: msgspec.json.schema(kind)
    for name, kind in {
        "WrittenMobile": fields.MobileWritten,
        "Mobile": fields.Mobile,
        "MessageId": fields.MessageId,
        "StreamId": fields.StreamId,
        "DeviceId": fields.DeviceId,
        "UnixMs": fields.UnixMs,
        "Moment": fields.Moment,
        "Id": fields.Id,
    }.items()
}
"""Types of fields that are described once, by name."""

Way = Literal["read", "sent", "sent whole"]
"""Read from clients; sent to them without fields that have their default; sent to them with all fields."""


def schemas_of(kinds: Iterable[type[Struct]], way: Way, ref: str = REF) -> dict[str, Schema]:
    """The schemas of these structs and of what they hold, by name.

    :param ref: how one refers to another, with ``{name}`` in it
    """
    _, found = msgspec.json.schema_components(list(kinds), ref_template=ref)
    used: set[str] = set()
    tidy = {name: _by_name(_tidy(schema, way), ref, used) for name, schema in sorted(found.items())}
    return tidy | {name: _NAMED[name] for name in sorted(used)}


def prose(text: str | None) -> str:
    """A docstring as Markdown of one line a paragraph."""
    plain = _ROLE.sub("", inspect.cleandoc(text or "")).replace("``", "`")
    return _WRAPPED.sub(" ", plain)


def _tidy(schema: Schema, way: Way) -> Schema:
    found = {name: part for name, part in schema.items() if name not in {"title", "properties", "required"}}
    if "description" in found:
        found["description"] = prose(found["description"])
    properties = schema.get("properties", {})
    required = [
        name
        for name, part in properties.items()
        if name in schema.get("required", ()) or (way == "sent whole" and "default" in part)
    ]
    if properties:
        found["properties"] = {name: _field(part, way) for name, part in properties.items()}
    if required:
        found["required"] = required
    return found


def _field(schema: Schema, way: Way) -> Schema:
    found = dict(schema)
    if way == "sent" and "default" in found and "anyOf" in found:
        found = _never_null(found)
    default = found.pop("default", None)
    if way == "read" and default is not None and default not in _NO_DEFAULTS and "enum" not in found:
        found["default"] = default
    if isinstance(default, str) and "enum" not in found:
        found.setdefault("examples", [default])
    if len(found.get("enum", ())) == 1:
        found["const"] = found.pop("enum")[0]
    return found


def _never_null(schema: Schema) -> Schema:
    """The same of a field that is left out when it is null."""
    rest = [each for each in schema["anyOf"] if each != {"type": "null"}]
    return rest[0] if len(rest) == 1 else {"anyOf": rest}


def _by_name(part: Any, ref: str, used: set[str]) -> Any:
    """The same, with references in place of what has a name."""
    if isinstance(part, list):
        return [_by_name(each, ref, used) for each in part]
    if not isinstance(part, dict):
        return part
    for name, schema in _NAMED.items():
        if part == schema:
            used.add(name)
            return {"$ref": ref.format(name=name)}
    return {key: _by_name(each, ref, used) for key, each in part.items()}
