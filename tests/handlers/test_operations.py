"""Every route is described, and what the description says of codes is what the source says."""

import re
from typing import Any

import msgspec
import pytest
from sanic import Request
from sanic.response import HTTPResponse, empty

from accounts.tokens import Claims
from handlers import ROUTES
from handlers.answers import Answer
from handlers.authentication import authenticated
from handlers.openapi import written
from handlers.operations import OPERATIONS, TAGS, Operation
from handlers.requests import _MESSAGES, invalid_field
from handlers.services import services
from protocol.errors import ERRORS, ApiError
from tests.handlers.raised_codes import raised

HANDLERS = {(method, path): handler for method, path, handler in ROUTES}


def ids(key: Any) -> str:
    return " ".join(key)


each_route = pytest.mark.parametrize("route", HANDLERS, ids=ids)


def test_every_route_is_described_and_nothing_else() -> None:
    assert list(OPERATIONS) == list(HANDLERS), "handlers/operations.py has one entry for each route, in their order"


def test_names_are_those_of_one_operation() -> None:
    names = [operation.id for operation in OPERATIONS.values()]
    assert [name for name in names if names.count(name) > 1 or not re.fullmatch(r"[a-z][A-Za-z]+", name)] == []


@each_route
def test_a_description_is_whole(route: tuple[str, str]) -> None:
    operation = OPERATIONS[route]
    assert operation.tag in TAGS
    assert [code for code in operation.all_codes if code not in ERRORS] == []
    assert (operation.answer is None) == bool(operation.media)
    parts = set(re.findall(r"{(\w+)}", written(route[1])))
    assert parts == (set() if operation.path is None else set(operation.path.__struct_encode_fields__))


@each_route
def test_every_code_of_the_source_is_described_and_no_other(route: tuple[str, str]) -> None:
    operation, found = OPERATIONS[route], raised(HANDLERS[route])
    assert sorted(found - set(operation.all_codes)) == [], "its handler raises them: add them to `codes`"
    assert sorted(set(operation.codes.split()) - found) == [], "nothing it calls says that it raises them"


@each_route
def test_a_token_is_described_where_one_is_taken(route: tuple[str, str]) -> None:
    guarded = HANDLERS[route].__code__ is authenticated(HANDLERS[route]).__code__
    assert OPERATIONS[route].bearer == guarded


@each_route
def test_every_field_of_a_body_or_a_query_has_its_sentence(route: tuple[str, str]) -> None:
    operation = OPERATIONS[route]
    for kind in filter(None, (operation.body, operation.query)):
        assert [field for field in kind.__struct_encode_fields__ if field not in _MESSAGES] == []
        assert all(invalid_field(field).errors for field in kind.__struct_encode_fields__)


def test_answers_are_sent_whole() -> None:
    """A default that is left out would have to be described as optional."""
    kinds = [operation.answer for operation in OPERATIONS.values() if operation.answer]
    assert [kind for kind in kinds if not issubclass(kind, Answer) or kind.__struct_config__.omit_defaults] == []


# ---- the reading of sources


def helper() -> None:
    """:raises ApiError: ``bad_device``"""
    raise ApiError("bad_mobile")


@authenticated
async def sample(request: Request, claims: Claims) -> HTTPResponse:
    mine, _unused = services(request), claims
    sessions = mine.sessions
    await sessions.close("x")
    await mine.limits.take(None, "x")  # type: ignore[arg-type]
    if claims.mobile:
        raise ApiError("self_block")
    return empty()


def test_codes_are_found_in_raises_in_docstrings_and_behind_names() -> None:
    assert raised(sample) == {"self_block", "session_revoked", "unavailable", "rate_limited"}
    assert raised(helper) == {"bad_mobile"}, "of itself, not what it says"


def test_what_a_route_needs_adds_its_codes() -> None:
    plain = Operation(id="x", summary="", tag="")
    token = Operation(id="x", summary="", tag="", bearer=True, codes="not_found")
    body = Operation(id="x", summary="", tag="", body=msgspec.Struct)
    assert "internal" in plain.all_codes
    assert {"token_expired", "not_found"} <= set(token.all_codes) - set(plain.all_codes)
    assert set(body.all_codes) - set(plain.all_codes) == {"bad_json", "unsupported_media_type"}
