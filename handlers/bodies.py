"""Bodies of requests, as typed structs. What does not fit is refused with the name of the field, never its value."""

import codecs
import json
import re
import unicodedata
from typing import Annotated, Any, Final, TypeVar

import msgspec
from sanic import Request

from protocol.refusals import Refusal

T = TypeVar("T", bound=msgspec.Struct)


class SignUp(msgspec.Struct, rename="camel"):
    """``POST /auth/signin``."""

    name: Annotated[str, msgspec.Meta(max_length=256)]
    mobile_no: Annotated[str, msgspec.Meta(max_length=64)]
    password: Annotated[str, msgspec.Meta(min_length=6)]


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
    "name": "name takes 3 to 64 characters, some of them visible and none a control character",
    "mobileNo": "mobileNo is a string of 10 to 15 digits",
    "password": "password is a string of at least 6 characters and at most 72 bytes in UTF-8",
    "deviceId": "deviceId is a string of 1 to 64 of A-Z a-z 0-9 _ - .",
    "deviceName": "deviceName is a string of at most 64 characters, none of them a control character",
    "blockedUserMobileNo": "blockedUserMobileNo is a string of 10 to 15 digits",
}
_FIELD: Final = re.compile(r"field `(\w+)`|`\$\.(\w+)`")
# Invisible, and able to turn the writing direction of everything around them.
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters, marks and symbols by category that show nothing all the same: fillers, the empty Braille cell, joiners and
# variation selectors.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def body(request: Request, kind: type[T]) -> T:
    """The request's JSON object as ``kind``; fields it does not name are ignored.

    :raises Refusal: ``unsupported_media_type``, ``bad_json``, ``bad_request``
    """
    # Sanic gives this header's value as it came, and a default where there is none.
    content_type = request.headers.getone("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refusal("unsupported_media_type")
    text = request.body.removeprefix(codecs.BOM_UTF8)  # RFC 8259, 8.1: a parser may ignore it, and some clients send it
    try:
        decoded = msgspec.json.decode(text, type=kind)
        json.loads(text, object_pairs_hook=_once)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from None
    except (ValueError, RecursionError):
        raise Refusal("bad_json") from None
    return decoded


def display_name(value: str) -> str:
    """A person's name without the spaces around it, 3 to 64 characters.

    :raises Refusal: ``bad_request``
    """
    name = value.strip()
    if not 3 <= len(name) <= 64 or not is_plain(name) or not _shows(name):
        raise misfit("name")
    return name


def is_plain(text: str) -> bool:
    """No control characters, line separators, or marks that turn the writing direction."""
    return all(unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"} and c not in _BIDI for c in text)


def _shows(text: str) -> bool:
    """Whether anything can be seen of it. Format characters may join what is seen, and are nothing alone."""
    return any(unicodedata.category(c)[0] in "LNPS" for c in _BLANK.sub("", text))


def misfit(field: str) -> Refusal:
    """What to raise for a field that does not fit."""
    return Refusal("bad_request", [{"field": field, "message": _SENTENCES[field]}])


def _misfit(message: str) -> Refusal:
    match = _FIELD.search(message)
    return misfit(match[1] or match[2]) if match else Refusal("bad_request")


def _once(pairs: list[tuple[str, Any]]) -> None:
    # Two parsers may disagree which of two equal keys counts.
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
