"""The description of the HTTP side in OpenAPI 3.1, made of the table of operations and the structs in it."""

import re
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from handlers import answers
from handlers.operations import OPERATIONS, TAGS, Link, Operation
from protocol.asyncapi import VERSION
from protocol.errors import ERRORS, ApiError
from protocol.json_schemas import REF, Schema, prose, schemas_of

ON_ANY_PATH: Final = ("not_found", "method_not_allowed")
"""Codes of addresses and methods that are not in the document."""
METHODS: Final = "methods"
_PART: Final = re.compile(r"<(\w+):\w+>")
_STATUSES: Final = {
    400: "The request is malformed, or something in it is not acceptable.",
    401: "It is not known who is asking.",
    403: "It is not allowed.",
    404: "It is not there.",
    405: "This address does not take that method; `Allow` names those it takes.",
    408: "The request took too long to arrive.",
    409: "It does not fit what is there.",
    413: "The request is too large.",
    414: "The address is too long.",
    415: "The body is not JSON.",
    429: "Too much in a short time.",
    431: "The head of the request is too large.",
    500: "Something broke on the server's side.",
    503: "The server, or a part of it, is away.",
}
_ABOUT: Final = """
The HTTP side of WhatsApp Mini. Messages travel over a WebSocket: a `GET` of **any path** with an upgrade opens it, and
[asyncapi.json](asyncapi.json) describes what is said there.

- Requests carry JSON (`Content-Type: application/json`, at most 64 KiB, an object, no key twice). Unknown fields are
  ignored.
- Every error has the body `Problem`. Clients may rely on `code` for ever; sentences may be reworded. An error never
  repeats what was submitted. 429 and 503 carry `Retry-After`.
- Every `GET` is also answered to `HEAD`, and every path answers `OPTIONS`.
- A path that is not listed here is answered with 404 `not_found`, another method with 405 `method_not_allowed`.
- Answers may get more fields; a client passes over those it does not know.

Times are in UTC. The prose to this is docs/PROTOCOL.md in the repository.
"""


@cache
def document() -> bytes:
    """The document, as it is served. It depends on nothing but the code."""
    return msgspec.json.encode(build(OPERATIONS))


def build(operations: dict[tuple[str, str], Operation]) -> dict[str, Any]:
    """The document that describes these operations, by method and path."""
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in operations.items():
        item = paths.setdefault(written(path), {})
        item[method.lower()] = _operation(operation)
        if method == "GET":
            item["head"] = _head(operation)
    for path, item in paths.items():
        item["options"] = _options(path, item)
    tags = [{"name": name, "description": about} for name, about in TAGS.items()]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "WhatsApp Mini",
            "version": VERSION,
            "description": _ABOUT.strip(),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "externalDocs": {"url": "asyncapi.json", "description": "The WebSocket, in AsyncAPI 3"},
        "servers": [{"url": ".", "description": "The server that this document came from"}],
        "tags": [*tags, {"name": METHODS, "description": "`HEAD` and `OPTIONS`."}],
        "paths": paths,
        "components": _components(operations),
    }


def _components(operations: dict[tuple[str, str], Operation]) -> dict[str, Any]:
    each = operations.values()
    sent = [kind for one in each for kind in (one.answer, *(kind for _, kind in one.others)) if kind]
    read = [one.body for one in each if one.body]
    inline = [kind for one in each for kind in (one.query, one.path) if kind]
    shown = sorted({code for one in each for code in one.all_codes} | set(ON_ANY_PATH))
    return {
        "schemas": {
            **{name: schema for name, schema in schemas_of(inline, "read").items() if "properties" not in schema},
            **schemas_of(read, "read"),
            **schemas_of([answers.Problem, *sent], "sent whole"),
        },
        "responses": {
            **{
                _response_name(codes): _problem(codes)
                for one in each
                for status, codes in _by_status(one).items()
                if status not in dict(one.others)
            },
            **{_response_name([code]): _problem([code]) for code in ON_ANY_PATH},
        },
        "examples": {code: {"summary": ERRORS[code].message, "value": example_of(code)} for code in shown},
        "headers": {
            "RetryAfter": _header("Whole seconds to wait.", {"type": "integer", "minimum": 0}),
            "WwwAuthenticate": _header("How to say who is asking.", {"const": "Bearer"}),
            "NoStore": _header("No cache may keep the answer.", {"const": "no-store"}),
            "Allow": _header("The methods of this path.", {"type": "string", "examples": ["GET, HEAD, OPTIONS"]}),
            "ETag": _header("For If-None-Match.", {"type": "string"}),
        },
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The `token` of a log-in. A client needs none of its claims but perhaps `iat`.",
            }
        },
    }


def written(path: str) -> str:
    """A path of Sanic's as OpenAPI writes it. The names of its parts are in camelCase, as all names are."""
    return _PART.sub(lambda part: "{" + re.sub("_(.)", lambda letter: letter[1].upper(), part[1]) + "}", path)


def example_of(code: str) -> dict[str, Any]:
    """The body of an error, as it is sent."""
    error = ApiError(code)
    more = {"retryAfter": error.retry_after} if ERRORS[code].status in (429, 503) else {}
    return error.body() | more


# ---- one operation


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": [{"bearer": []}] if operation.bearer else [],
    }
    if operation.about:
        found["description"] = operation.about
    parameters = [*_parameters(operation.path, "path"), *_parameters(operation.query, "query")]
    if parameters:
        found["parameters"] = parameters
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(operation.body)}}}
    found["responses"] = {"200": _success(operation), **_not_modified(operation), **_problems(operation)}
    return found


def _parameters(kind: type[Struct] | None, place: str) -> list[dict[str, Any]]:
    if kind is None:
        return []
    schema = schemas_of([kind], "read")[kind.__name__]
    found = []
    for name, field in schema["properties"].items():
        parameter = {"name": name, "in": place, "required": name in schema.get("required", ()), "schema": field}
        if "description" in field:
            parameter["description"] = field["description"]
        found.append(parameter)
    return found


def _success(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {"description": operation.summary + "."}
    if operation.answer is None:
        found["headers"] = {"ETag": _header_ref("ETag")}
        found["content"] = {
            media: {"schema": {"type": "object" if media.endswith("json") else "string"}}
            for media in operation.media.split()
        }
    else:
        found["description"] = prose(operation.answer.__doc__)
        found["headers"] = {"Cache-Control": _header_ref("NoStore")}
        found["content"] = {"application/json": {"schema": _ref(operation.answer)}}
    if operation.links:
        found["links"] = {link.to: _link(link) for link in operation.links}
    return found


def _link(link: Link) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": link.to}
    if link.parameters:
        found["parameters"] = link.parameters
    if link.body:
        found["requestBody"] = link.body
    return found


def _not_modified(operation: Operation) -> dict[str, Any]:
    return {"304": {"description": "It is as If-None-Match has it."}} if operation.media else {}


def _problems(operation: Operation) -> dict[str, Any]:
    others = dict(operation.others)
    return {
        str(status): _problem(codes, others[status]) if status in others else _problem_ref(codes)
        for status, codes in sorted(_by_status(operation).items())
    }


def _by_status(operation: Operation) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for code in operation.all_codes:
        found.setdefault(ERRORS[code].status, []).append(code)
    return found


def _problem(codes: list[str], other: type[Struct] | None = None) -> dict[str, Any]:
    """The answer of one status."""
    status = ERRORS[codes[0]].status
    # A plain error has one of these codes; generators that pass over what stands beside $ref get Problem.
    schema: Schema = {"$ref": REF.format(name="Problem"), "properties": {"code": {"enum": codes}}}
    if other is not None:
        schema = {"anyOf": [_ref(other), schema]}
    headers = {"Cache-Control": _header_ref("NoStore")}
    if status == 401:
        headers["WWW-Authenticate"] = _header_ref("WwwAuthenticate")
    if status in (429, 503):
        headers["Retry-After"] = _header_ref("RetryAfter")
    if status == 405:
        headers["Allow"] = _header_ref("Allow")
    return {
        "description": f"{_STATUSES[status]} {', '.join(f'`{code}`' for code in codes)}.",
        "headers": headers,
        "content": {
            "application/json": {
                "schema": schema,
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


# ---- methods that every path has


def _head(operation: Operation) -> dict[str, Any]:
    whole = _operation(operation)
    bare = {status: {"description": "As of GET, without a body."} for status in whole["responses"]}
    more = {"operationId": f"{operation.id}Head", "summary": f"{operation.id} without its body", "tags": [METHODS]}
    return {name: part for name, part in whole.items() if name != "description"} | more | {"responses": bare}


def _options(path: str, item: dict[str, Any]) -> dict[str, Any]:
    first = next(iter(item.values()))
    found: dict[str, Any] = {
        "operationId": f"{first['operationId']}Options",
        "summary": f"The methods of {path}",
        "tags": [METHODS],
        "security": [],
        "responses": {"204": {"description": "No content.", "headers": {"Allow": _header_ref("Allow")}}},
    }
    # Whatever is there: the methods are those of the path's shape.
    parts = [each | {"schema": {"type": "string"}} for each in first.get("parameters", ()) if each["in"] == "path"]
    return found | ({"parameters": parts} if parts else {})


# ---- parts


def _ref(kind: type[Struct]) -> Schema:
    return {"$ref": REF.format(name=kind.__name__)}


def _header(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": schema}


def _header_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _response_name(codes: list[str]) -> str:
    return "".join(part.capitalize() for code in codes for part in code.split("_"))


def _problem_ref(codes: list[str]) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{_response_name(codes)}"}
