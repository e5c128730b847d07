"""What a request contains: its body as a typed struct, and its query. Errors name the field, never its value."""

import codecs
import json
import re
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
from sanic import Request

from accounts.event_log import MAX_EVENTS
from accounts.mobile_numbers import canonical_mobile
from accounts.password_rules import MIN_LENGTH
from handlers.services import services
from handlers.static_files import PAGE_FILES, VIEWER_FILES
from protocol.errors import ApiError
from protocol.fields import DeviceId, Id, MobileWritten, described
from protocol.text import clean_about, clean_name

T = TypeVar("T", bound=msgspec.Struct)

_BYTES: Final = "At most 72 bytes of UTF-8 in the form of RFC 8265 (OpaqueString)."

Name = Annotated[
    str,
    msgspec.Meta(max_length=256),
    described(
        "3 to 64 visible characters in NFC; docs/PROTOCOL.md says which are refused.",
        "Asha",
        more_rules=True,
        minLength=3,
    ),
]
Password = Annotated[str, msgspec.Meta(min_length=1), described(_BYTES, "correct horse", more_rules=True, maxLength=72)]
NewPassword = Annotated[
    str,
    msgspec.Meta(min_length=MIN_LENGTH),
    described(
        f"{_BYTES} Refused are the commonest passwords, one character repeated, and the number itself.",
        "correct horse",
        more_rules=True,
        maxLength=72,
    ),
]
About = Annotated[
    str,
    msgspec.Meta(max_length=1024),
    described("At most 140 visible characters in one line, in NFC; it may be empty.", "At the sea", more_rules=True),
]
DeviceName = Annotated[
    str,
    msgspec.Meta(max_length=64),
    described("For people, in the list of devices. Without control characters.", "Asha's phone", more_rules=True),
]


Code = Annotated[
    str,
    msgspec.Meta(max_length=32),
    described("Six digits that were sent to the number (POST /v1/codes), where the server wants them.", "042195"),
]


class SignUp(msgspec.Struct, rename="camel"):
    """``POST /auth/signin``."""

    name: Name
    mobile_no: MobileWritten
    password: NewPassword
    code: Code | None = None


class CodeRequest(msgspec.Struct, rename="camel"):
    """``POST /v1/codes``."""

    mobile_no: MobileWritten


class Reset(msgspec.Struct, rename="camel"):
    """``POST /auth/reset``."""

    mobile_no: MobileWritten
    code: Code
    new_password: NewPassword


class Login(msgspec.Struct, rename="camel"):
    """``POST /auth/login``."""

    mobile_no: MobileWritten
    password: Password
    device_id: Annotated[DeviceId, msgspec.Meta(max_length=64)] | None = None
    device_name: DeviceName | None = None
    replace_device_id: Annotated[DeviceId, msgspec.Meta(max_length=64)] | None = None


class Refresh(msgspec.Struct, rename="camel"):
    """``POST /auth/refresh``."""

    refresh_token: Annotated[str, msgspec.Meta(max_length=2048), described("The newest one of its session.", "wmr_…")]


class EverywhereQuery(msgspec.Struct):
    """``?all=``."""

    all: Annotated[bool, described("Whether this session ends, too.", True)] = False


class PasswordChange(msgspec.Struct, rename="camel"):
    """``POST /auth/password``."""

    current_password: Password
    new_password: NewPassword


class SessionPath(msgspec.Struct):
    """The last part of ``/v1/sessions/…``."""

    id: Id


class DevicePath(msgspec.Struct, rename="camel"):
    """The last part of ``/v1/devices/…``."""

    device_id: DeviceId


class EventsQuery(msgspec.Struct):
    """``?before=&limit=``."""

    before: Annotated[
        int, msgspec.Meta(ge=1, le=2**63 - 1), described("The id of an event; older ones are listed.", 4711)
    ] = 2**63 - 1
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_EVENTS), described("Events in the answer.", 20)] = 50


class BlockRequest(msgspec.Struct, rename="camel"):
    """``POST /block-action/block``."""

    blocked_user_mobile_no: MobileWritten


Audience = Annotated[
    Literal["everyone", "contacts", "nobody"],
    described("Contacts are the people to whom this person wrote within the last 180 days.", "contacts"),
]
Switch = Annotated[Literal["on", "off"], described("Whether these receipts are told.", "on")]


class PrivacyChange(msgspec.Struct, rename="camel"):
    """``PUT /v1/privacy``: what is absent stays as it is."""

    last_seen: Audience | msgspec.UnsetType = msgspec.UNSET
    online: Audience | msgspec.UnsetType = msgspec.UNSET
    read_receipts: Switch | msgspec.UnsetType = msgspec.UNSET
    stranger_receipts: Switch | msgspec.UnsetType = msgspec.UNSET


class MobileQuery(msgspec.Struct, rename="camel"):
    """``?mobileNo=``."""

    mobile_no: MobileWritten


class PageFile(msgspec.Struct):
    """The last part of ``/web/…``."""

    name: Annotated[str, described("A file of the page.", "app.js", enum=[n for n in PAGE_FILES if "/" not in n])]


class PageFolderFile(msgspec.Struct):
    """The last two parts of ``/web/…/…``."""

    folder: Annotated[
        str,
        described("A folder of the page.", "vendor", enum=sorted({n.split("/")[0] for n in PAGE_FILES if "/" in n})),
    ]
    name: Annotated[
        str,
        described("A file in it.", "preact.js", enum=sorted({n.split("/")[1] for n in PAGE_FILES if "/" in n})),
    ]


class ViewerFile(msgspec.Struct):
    """The last part of ``/docs/…``."""

    name: Annotated[str, described("A file of the viewer.", "docs.css", enum=list(VIEWER_FILES))]


class ProfileChange(msgspec.Struct, rename="camel"):
    """``PATCH /v1/me``."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    about: About | msgspec.UnsetType = msgspec.UNSET


class Deletion(msgspec.Struct):
    """``DELETE /v1/me``."""

    password: Password


class NumberChange(msgspec.Struct, rename="camel"):
    """``POST /v1/me/number``."""

    mobile_no: MobileWritten
    password: Password
    code: Code | None = None


class PeopleLookup(msgspec.Struct, rename="camel"):
    """``POST /v1/people/lookup``."""

    mobile_nos: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=64)]],
        described(
            "Mobile numbers as a person writes them. Different ones cost a token each; those that cannot be read are "
            "named in the answer.",
            ["+91 98000 00001"],
            minItems=1,
            maxItems=100,
        ),
    ]


_MESSAGES: Final = {
    "name": "name takes 3 to 64 visible characters: no control characters, piles of accents or words in two alphabets",
    "about": "about takes at most 140 visible characters in one line: no control characters and no piles of accents",
    "mobileNos": "mobileNos is a list of strings of at most 64 characters",
    "mobileNo": "mobileNo is a string of 10 to 15 digits that begins with the country code",
    "password": "password is a string of at least 6 characters and at most 72 bytes in UTF-8",
    "deviceId": "deviceId is a string of 1 to 64 of A-Z a-z 0-9 _ - .",
    "code": "code is a string of six digits",
    "replaceDeviceId": "replaceDeviceId is a string of 1 to 64 of A-Z a-z 0-9 _ - .",
    "deviceName": "deviceName is a string of at most 64 characters, none of them a control character",
    "lastSeen": "lastSeen is everyone, contacts or nobody",
    "online": "online is everyone, contacts or nobody",
    "readReceipts": "readReceipts is on or off",
    "strangerReceipts": "strangerReceipts is on or off",
    "refreshToken": "refreshToken is a string of at most 2048 characters",
    "currentPassword": "currentPassword is a string of at least 1 character and at most 72 bytes in UTF-8",
    "newPassword": "newPassword is a string of at least 6 characters and at most 72 bytes in UTF-8",
    "all": "all is true or false",
    "before": "before is the id of an event: a whole number above 0",
    "limit": f"limit is a whole number from 1 to {MAX_EVENTS}",
    "blockedUserMobileNo": "blockedUserMobileNo is a string of 10 to 15 digits that begins with the country code",
}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]").search
_FIELD: Final = re.compile(r"field `(\w+)`|`\$\.(\w+)[`\[]")


def body(request: Request, kind: type[T]) -> T:
    """The request's JSON object as ``kind``; unknown fields are ignored.

    :raises ApiError: ``unsupported_media_type``, ``bad_json``, ``bad_request``
    """
    # request.content_type would be a default where there is no such header.
    content_type = request.headers.getone("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise ApiError("unsupported_media_type")
    text = request.body.removeprefix(codecs.BOM_UTF8)  # RFC 8259, 8.1: a parser may ignore it, and some clients send it
    try:
        decoded = msgspec.json.decode(text, type=kind)
        json.loads(text, object_pairs_hook=_unique)
    except msgspec.ValidationError as error:
        raise _from_msgspec(str(error)) from None
    except (ValueError, RecursionError):
        raise ApiError("bad_json") from None
    return decoded


def read_query(text: str) -> dict[str, str]:
    """The fields of a query. Each may come once, and without control characters.

    :raises ApiError: ``bad_request``
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError:  # not UTF-8, or too many
        raise ApiError("bad_request") from None
    found = dict(pairs)
    # Invisible marks are copied along with numbers, and dropped with their punctuation.
    if len(found) < len(pairs) or any(_CONTROL(value) for value in found.values()):
        raise ApiError("bad_request")
    return found


def query(request: Request, kind: type[T]) -> T:
    """The request's query as ``kind``, numbers and booleans too; unknown fields are ignored.

    :raises ApiError: ``bad_request``
    """
    try:
        return msgspec.convert(read_query(request.query_string), kind, strict=False)
    except msgspec.ValidationError as error:
        raise _from_msgspec(str(error)) from None


def query_mobile(request: Request) -> str:
    """The canonical ``mobileNo`` of the query, :class:`MobileQuery`.

    :raises ApiError: ``bad_request``, ``bad_mobile``
    """
    raw = read_query(request.query_string).get("mobileNo")
    if raw is None:
        raise ApiError("bad_request", [{"field": "mobileNo", "message": "mobileNo is missing"}])
    # A plus that was not encoded as %2B arrives as a space.
    raw = "+" + raw[1:] if raw.startswith(" ") else raw
    return canonical_mobile(raw, services(request).settings.default_region)


def display_name(value: str) -> str:
    """A person's name, normalised by :func:`protocol.text.clean_name`.

    :raises ApiError: ``bad_request``
    """
    name = clean_name(value)
    if name is None:
        raise invalid_field("name")
    return name


def about_text(value: str) -> str:
    """What a person says of themselves, normalised by :func:`protocol.text.clean_about`.

    :raises ApiError: ``bad_request``
    """
    about = clean_about(value)
    if about is None:
        raise invalid_field("about")
    return about


def invalid_field(field: str, message: str = "") -> ApiError:
    """The error of a field that is not acceptable.

    :param message: by default that of the field
    """
    return ApiError("bad_request", [{"field": field, "message": message or _MESSAGES[field]}])


def _from_msgspec(message: str) -> ApiError:
    match = _FIELD.search(message)
    return invalid_field(match[1] or match[2]) if match else ApiError("bad_request")


def _unique(pairs: list[tuple[str, Any]]) -> None:
    # Parsers disagree which of two equal keys counts.
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
