"""Bodies of requests, as typed structs. What does not fit is refused with the name of the field, never its value."""

import codecs
import json
import re
from typing import Annotated, Any, Final, TypeVar

import msgspec
from sanic import Request

from protocol.errors import ApiError
from protocol.text import clean_name

T = TypeVar("T", bound=msgspec.Struct)

SHORTEST_PASSWORD: Final = 6
"""Characters."""


class SignUp(msgspec.Struct, rename="camel"):
    """``POST /auth/signin``."""

    name: Annotated[str, msgspec.Meta(max_length=256)]
    mobile_no: Annotated[str, msgspec.Meta(max_length=64)]
    password: Annotated[str, msgspec.Meta(min_length=SHORTEST_PASSWORD)]


class Login(msgspec.Struct, rename="camel"):
    """``POST /auth/login``."""

    mobile_no: Annotated[str, msgspec.Meta(max_length=64)]
    password: Annotated[str, msgspec.Meta(min_length=1)]
    device_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    device_name: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class BlockOrder(msgspec.Struct, rename="camel"):
    """``POST /block-action/block``."""

    blocked_user_mobile_no: Annotated[str, msgspec.Meta(max_length=64)]


_SENTENCES: Final = {
    "name": "name takes 3 to 64 visible characters: no control characters, piles of accents or words in two alphabets",
    "mobileNo": "mobileNo is a string of 10 to 15 digits that begins with the country code",
    "password": "password is a string of at least 6 characters and at most 72 bytes in UTF-8",
    "deviceId": "deviceId is a string of 1 to 64 of A-Z a-z 0-9 _ - .",
    "deviceName": "deviceName is a string of at most 64 characters, none of them a control character",
    "blockedUserMobileNo": "blockedUserMobileNo is a string of 10 to 15 digits that begins with the country code",
}
_FIELD: Final = re.compile(r"field `(\w+)`|`\$\.(\w+)`")


def body(request: Request, kind: type[T]) -> T:
    """The request's JSON object as ``kind``; fields it does not name are ignored.

    :raises ApiError: ``unsupported_media_type``, ``bad_json``, ``bad_request``
    """
    # Sanic gives this header's value as it came, and a default where there is none.
    content_type = request.headers.getone("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise ApiError("unsupported_media_type")
    text = request.body.removeprefix(codecs.BOM_UTF8)  # RFC 8259, 8.1: a parser may ignore it, and some clients send it
    try:
        decoded = msgspec.json.decode(text, type=kind)
        json.loads(text, object_pairs_hook=_once)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from None
    except (ValueError, RecursionError):
        raise ApiError("bad_json") from None
    return decoded


def display_name(value: str) -> str:
    """A person's name as :func:`protocol.text.clean_name` writes it.

    :raises ApiError: ``bad_request``
    """
    name = clean_name(value)
    if name is None:
        raise misfit("name")
    return name


def misfit(field: str, message: str = "") -> ApiError:
    """What to raise for a field that does not fit.

    :param message: a sentence of its own; by default that of the field
    """
    return ApiError("bad_request", [{"field": field, "message": message or _SENTENCES[field]}])


def _misfit(message: str) -> ApiError:
    match = _FIELD.search(message)
    return misfit(match[1] or match[2]) if match else ApiError("bad_request")


def _once(pairs: list[tuple[str, Any]]) -> None:
    # Two parsers may disagree which of two equal keys counts.
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
