"""The page of all routes, made of the description that ``GET /openapi.json`` answers."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from handlers.openapi import document
from protocol.errors import ERRORS
from tools.docs.schemas import Schemas

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_ANYWHERE: Final = ("request_timeout", "body_too_large", "uri_too_long", "head_too_large", "internal", "draining")
"""Codes that any route may answer with: said once."""
_INTRODUCTION: Final = """\
# HTTP reference

Every route, made from the description that a running server gives at `/openapi.json`. The rules behind the routes are
in [the protocol](PROTOCOL.md#2-http); this page has the fields and the codes.

- A request's body is a JSON object with `Content-Type: application/json`, of at most 64 KiB. Unknown fields are
  ignored.
- "Bearer" means the header `Authorization: Bearer <token>`, with the token of a log-in.
- A field with a question mark may be absent. In an answer, more fields may be added in later versions.
- Every `GET` is also answered to `HEAD`, and every path answers `OPTIONS`.

## Refusals

Every refusal has the same body:

{problem}

Any route may answer with one of these codes, so they are not repeated below: {anywhere}.
[All codes](PROTOCOL.md#6-codes) says what each means and which are worth a retry.

## Types

{types}
"""


def page() -> str:
    """The Markdown. Links are those of a file in ``docs/``."""
    described = json.loads(document())
    schemas = Schemas(described)
    problem = "\n".join(schemas.table(described["components"]["schemas"]["Problem"]))
    anywhere = ", ".join(f"`{code}`" for code in _ANYWHERE)
    lines = [_INTRODUCTION.format(problem=problem, anywhere=anywhere, types="\n".join(schemas.types()))]
    for tag in described["tags"]:
        if tag["name"] != "methods":  # HEAD and OPTIONS: said once, above
            lines += [f"## {tag['name'].capitalize()}", "", tag["description"], ""]
            lines += [line for route in _routes(described, tag["name"]) for line in _route(described, schemas, *route)]
    return "\n".join(lines)


def _routes(described: Mapping[str, Any], tag: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, operations in described["paths"].items():
        for method in _METHODS:
            if method in operations and tag in operations[method]["tags"]:
                yield method, path, operations[method]


def _route(
    described: Mapping[str, Any], schemas: Schemas, method: str, path: str, said: Mapping[str, Any]
) -> list[str]:
    bearer = " Needs a Bearer token." if said.get("security") else ""
    lines = [f"### `{method.upper()} {path}`", "", f"{said['summary'].rstrip('.')}.{bearer}", ""]
    if said.get("description"):
        lines += [said["description"], ""]
    lines += _parameters(schemas, said)
    if "requestBody" in said:
        schema = said["requestBody"]["content"]["application/json"]["schema"]
        lines += ["**Body**", "", *schemas.table(schema), ""]
    for status, answer in said["responses"].items():
        if status.startswith("2"):
            lines += _success(schemas, status, answer)
    return [*lines, *_refusals(described, said), ""]


def _parameters(schemas: Schemas, said: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| `{each['name']}{'' if each.get('required') else '?'}` | {each['in']} | {schemas.kind(each['schema'])} | "
        f"{each.get('description', '').replace('|', chr(92) + '|')} |"
        for each in said.get("parameters", ())
    ]
    return ["**Parameters**", "", "| name | in | type | |", "|---|---|---|---|", *rows, ""] if rows else []


def _success(schemas: Schemas, status: str, answer: Mapping[str, Any]) -> list[str]:
    lines = [f"**Answer {status}**: {answer['description']}", ""]
    for media, content in answer.get("content", {}).items():
        table = schemas.table(content.get("schema", {})) if media == "application/json" else []
        lines += [*table, ""] if table else [f"It is `{media}`.", ""]
    return lines


def _refusals(described: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    codes = [
        (status, code)
        for status, answer in said["responses"].items()
        if not status.startswith("2")
        for code in _codes(described, answer)
        if code not in _ANYWHERE
    ]
    if not codes:
        return []
    rows = [f"| {status} | `{code}` | {ERRORS[code].message} |" for status, code in codes]
    return ["**Refusals**", "", "| status | code | meaning |", "|---|---|---|", *rows]


def _codes(described: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    while "$ref" in answer:
        answer = described["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return re.findall(r"`([a-z_]+)`", answer["description"])
