"""What is wrong with a frame, in plain words, and which names in the answer tell the client which frame is meant."""

import json
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, NamedTuple

import msgspec

from protocol import salvage
from protocol.errors import ApiError

MAX_NAME_LENGTH: Final = 256
"""Longer names are not repeated in an answer. Shorter ones are, though they may be invalid."""
MAX_NAMES: Final = 16
"""Ids of an ack that are repeated in an answer."""
_MOBILE_CHARACTERS: Final = frozenset("0123456789+-.()[] ")
_STREAM_ID_CHARACTERS: Final = frozenset("0123456789-")
_SAFE_INTEGER: Final = 2**53
_DECODE_ERRORS: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)

_TEXT: Final = "a string"
_TEXTS: Final = "a list of strings"
_BOOLEAN: Final = "true or false"
_FIELDS: Final[dict[str, dict[str, str]]] = {
    "chat": {"to": _TEXT, "messageId": _TEXT, "message": _TEXT},
    "ack": {
        "ackType": "delivered or read",
        "to": _TEXT,
        "streamId": _TEXT,
        "streamIds": _TEXTS,
        "messageId": _TEXT,
        "messageIds": _TEXTS,
    },
    "ping": {},
    "watch": {"mobileNos": _TEXTS},
    "unwatch": {"mobileNos": _TEXTS},
    "typing": {"to": _TEXT, "active": _BOOLEAN},
}
"""Type of a frame -> its fields and what each must be."""
_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "chat": ("to", "messageId", "message"),
    "ack": ("ackType",),
    "ping": (),
    "watch": ("mobileNos",),
    "unwatch": ("mobileNos",),
    "typing": ("to", "active"),
}
ALL_TYPES: Final = frozenset(_FIELDS)
SEED_TYPES: Final = frozenset({"chat", "ack", "ping"})
"""Those of the seed dialect: any other is unknown there, and will stay so."""
_WATCHES: Final = ("watch", "unwatch")
_NULLABLE: Final = frozenset({("ack", "to"), ("ack", "streamId"), ("ack", "messageId")})


class FrameNames(NamedTuple):
    """What an error repeats of a frame, so that the client knows which one is meant. ``message_id`` is a chat's: the
    messageIds of an ack are not its client's own."""

    message_id: str | int | None = None
    to: str | None = None
    message_ids: tuple[str, ...] = ()
    stream_ids: tuple[str, ...] = ()
    mobile_nos: tuple[str, ...] = ()


NO_NAMES: Final = FrameNames()


class BadFrame(Exception):
    """A frame that cannot be understood, and the names in it that the answer repeats."""

    def __init__(
        self, code: str, kind: str = "frame", names: FrameNames = NO_NAMES, *complaints: tuple[str, str]
    ) -> None:
        """
        :param kind: what is refused; the ``component`` of the error frame
        :param complaints: (field, message) each; without any, the code's own message is used
        """
        errors = [{"field": field, "message": message} for field, message in complaints]
        super().__init__(code)
        self.error = ApiError(code, errors or None)
        self.kind = kind
        self.names = names


def not_json(names: FrameNames = NO_NAMES) -> BadFrame:
    """The frame is not JSON."""
    return BadFrame("bad_json", "frame", names, ("frame", "the frame is not valid JSON"))


def indivisible() -> BadFrame:
    """The message is an array, and where its frames end cannot be found."""
    message = "the message is not valid JSON and nothing of it was done: send its frames one by one"
    return BadFrame("bad_json", "frame", NO_NAMES, ("frame", message))


def explain(data: msgspec.Raw | bytes, types: Set[str] = ALL_TYPES) -> BadFrame:
    """What is wrong with this, which could not be decoded.

    :param types: of frames that there are
    """
    try:
        found = msgspec.json.decode(data)
    except _DECODE_ERRORS:
        return _unreadable(bytes(data), types)
    if not isinstance(found, dict):
        return BadFrame("bad_frame", "frame", NO_NAMES, ("frame", "a frame is a JSON object"))
    kind = _kind(found, types)
    if kind == "frame":
        return BadFrame("unknown_type", "frame", frame_names(found))
    if kind in _WATCHES:
        return BadFrame("bad_frame", kind, watch_names(found.get("mobileNos")), *_complaints(kind, found))
    return BadFrame("bad_frame", kind, frame_names(found), *_complaints(kind, found))


def chat_names(message_id: Any, to: Any) -> FrameNames:
    """The names of a chat that are short and plain enough to be repeated."""
    return FrameNames(_plain(message_id), _number(to))


def ack_names(to: Any, message_ids: Sequence[Any], stream_ids: Sequence[Any]) -> FrameNames:
    """The same of an ack: its first ids stand for all."""
    ids = [_plain(each) for each in message_ids[:MAX_NAMES]]
    shaped = [each for each in stream_ids[:MAX_NAMES] if _is_like_a_stream_id(each)]
    return FrameNames(None, _number(to), tuple(each for each in ids if isinstance(each, str)), tuple(shaped))


def watch_names(mobile_nos: Any) -> FrameNames:
    """The same of a watch: its first numbers stand for all."""
    listed = mobile_nos[:MAX_NAMES] if isinstance(mobile_nos, list) else ()
    return FrameNames(mobile_nos=tuple(number for number in map(_number, listed) if number is not None))


def frame_names(found: Mapping[str, Any]) -> FrameNames:
    """The same of any frame."""
    if found.get("type") != "ack":
        return chat_names(found.get("messageId"), found.get("to"))
    return ack_names(found.get("to"), _both(found, "messageId", "messageIds"), _both(found, "streamId", "streamIds"))


def _both(found: Mapping[str, Any], one: str, many: str) -> list[Any]:
    listed = found.get(many)
    return [*([found[one]] if one in found else ()), *(listed[:MAX_NAMES] if isinstance(listed, list) else ())]


def _number(to: Any) -> str | None:
    return to if isinstance(to, str) and 0 < len(to) <= MAX_NAME_LENGTH and _MOBILE_CHARACTERS.issuperset(to) else None


def _plain(name: Any) -> str | int | None:
    if isinstance(name, str):
        return name if 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable() else None
    return name if type(name) is int and abs(name) < _SAFE_INTEGER else None


def _is_like_a_stream_id(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME_LENGTH and _STREAM_ID_CHARACTERS.issuperset(name)


def _kind(found: Mapping[str, Any], types: Set[str]) -> str:
    kind = found.get("type")
    return kind if isinstance(kind, str) and kind in types else "frame"


def _complaints(kind: str, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    wrong = []
    for field, what in _FIELDS[kind].items():
        value = found.get(field)
        if field not in found:
            if field in _REQUIRED[kind]:
                wrong.append((field, f"{field} is missing"))
        elif not (_fits(value, what) or (value is None and (kind, field) in _NULLABLE)):
            wrong.append((field, f"{field} must be {what}"))
    return wrong


def _fits(value: Any, what: str) -> bool:
    if what == _TEXTS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if what == _BOOLEAN:
        return isinstance(value, bool)
    return isinstance(value, str) if what == _TEXT else value in ("delivered", "read")


# ---- what msgspec could not decode


def _unreadable(data: bytes, types: Set[str]) -> BadFrame:
    """It is not JSON, or JSON with half a surrogate pair in a text, which msgspec does not decode."""
    try:
        found = json.loads(data.decode(), parse_constant=_reject)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return not_json(frame_names(salvage.fields_of(data)))
    if not isinstance(found, dict):
        return not_json()
    halves = [field for field in ("to", "messageId", "message") if _is_half(found.get(field))]
    if not halves and not _is_half(json.dumps(found, ensure_ascii=False)):
        return not_json(frame_names(found))
    problem = "is not valid Unicode: it holds half of a surrogate pair"
    complaints = [(field, f"{field} {problem}") for field in halves] or [("frame", f"a text {problem}")]
    return BadFrame("bad_frame", _kind(found, types), frame_names(found), *complaints)


def _reject(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON, though Python accepts them


def _is_half(text: Any) -> bool:
    try:
        if isinstance(text, str):
            text.encode()
    except UnicodeEncodeError:
        return True
    return False
