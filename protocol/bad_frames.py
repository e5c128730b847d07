"""Why a frame is refused, in our own words, and by which names its sender can tell it from others."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from protocol import salvage
from protocol.errors import ApiError

MOST_LETTERS: Final = 256
"""Of a name that is repeated in a refusal, though it may be no valid one."""
MOST_NAMES: Final = 16
"""The same of the ids of an ack."""
_NUMBER_MARKS: Final = frozenset("0123456789+-.()[] ")
_STREAM_ID_MARKS: Final = frozenset("0123456789-")
_SAFE_INTEGER: Final = 2**53
_NO_JSON: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)

_TEXT: Final = "a string"
_TEXTS: Final = "a list of strings"
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
}
"""Type of a frame -> its fields and what each must be."""
_NEEDED: Final = {"chat": ("to", "messageId", "message"), "ack": ("ackType",), "ping": ()}
_MAY_BE_NULL: Final = frozenset({("ack", "to"), ("ack", "streamId"), ("ack", "messageId")})


class Named(NamedTuple):
    """What a refusal repeats of a frame, so that its sender knows which one is meant. Of an ack, whose messageIds are
    not its sender's own, ``message_id`` says nothing."""

    message_id: str | int | None = None
    to: str | None = None
    message_ids: tuple[str, ...] = ()
    stream_ids: tuple[str, ...] = ()


NOTHING: Final = Named()


class BadFrame(Exception):
    """A frame that is refused, with what of it can be named in the answer."""

    def __init__(self, code: str, kind: str = "frame", named: Named = NOTHING, *complaints: tuple[str, str]) -> None:
        """:param complaints: (field, sentence); none: the code's own sentence"""
        errors = [{"field": field, "message": sentence} for field, sentence in complaints]
        super().__init__(code)
        self.refusal = ApiError(code, errors or None)
        self.kind = kind
        self.named = named


def no_json(named: Named = NOTHING) -> BadFrame:
    """What cannot be read."""
    return BadFrame("bad_json", "frame", named, ("frame", "the frame is not valid JSON"))


def undivided() -> BadFrame:
    """An array of which nobody can tell where its frames end."""
    sentence = "the message is not valid JSON and nothing of it was done: send its frames one by one"
    return BadFrame("bad_json", "frame", NOTHING, ("frame", sentence))


def explain(data: msgspec.Raw | bytes) -> BadFrame:
    """Why this, which could not be decoded, is no frame of ours."""
    try:
        found = msgspec.json.decode(data)
    except _NO_JSON:
        return _unreadable(bytes(data))
    if not isinstance(found, dict):
        return BadFrame("bad_frame", "frame", NOTHING, ("frame", "a frame is a JSON object"))
    kind = _kind(found)
    if kind == "frame":
        return BadFrame("unknown_type", "frame", name_all(found))
    return BadFrame("bad_frame", kind, name_all(found), *_complaints(kind, found))


def name_chat(message_id: Any, to: Any) -> Named:
    """What of a chat's names may be repeated, since it is short and plain."""
    return Named(_plain(message_id), _number(to))


def name_ack(to: Any, message_ids: Sequence[Any], stream_ids: Sequence[Any]) -> Named:
    """The same of an ack; its first names stand for all."""
    ids = [_plain(each) for each in message_ids[:MOST_NAMES]]
    places = [each for each in stream_ids[:MOST_NAMES] if _like_a_place(each)]
    return Named(None, _number(to), tuple(each for each in ids if isinstance(each, str)), tuple(places))


def name_all(found: Mapping[str, Any]) -> Named:
    """The same of any frame."""
    if found.get("type") != "ack":
        return name_chat(found.get("messageId"), found.get("to"))
    return name_ack(found.get("to"), _both(found, "messageId", "messageIds"), _both(found, "streamId", "streamIds"))


def _both(found: Mapping[str, Any], one: str, many: str) -> list[Any]:
    listed = found.get(many)
    return [*([found[one]] if one in found else ()), *(listed[:MOST_NAMES] if isinstance(listed, list) else ())]


def _number(to: Any) -> str | None:
    return to if isinstance(to, str) and 0 < len(to) <= MOST_LETTERS and _NUMBER_MARKS.issuperset(to) else None


def _plain(name: Any) -> str | int | None:
    if isinstance(name, str):
        return name if 0 < len(name) <= MOST_LETTERS and name.isprintable() else None
    return name if type(name) is int and abs(name) < _SAFE_INTEGER else None


def _like_a_place(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MOST_LETTERS and _STREAM_ID_MARKS.issuperset(name)


def _kind(found: Mapping[str, Any]) -> str:
    kind = found.get("type")
    return kind if isinstance(kind, str) and kind in _FIELDS else "frame"


def _complaints(kind: str, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    wrong = []
    for field, what in _FIELDS[kind].items():
        value = found.get(field)
        if field not in found:
            if field in _NEEDED[kind]:
                wrong.append((field, f"{field} is missing"))
        elif not (_fits(value, what) or (value is None and (kind, field) in _MAY_BE_NULL)):
            wrong.append((field, f"{field} must be {what}"))
    return wrong


def _fits(value: Any, what: str) -> bool:
    if what == _TEXTS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, str) if what == _TEXT else value in ("delivered", "read")


# ---- what the decoder could not read


def _unreadable(data: bytes) -> BadFrame:
    """JSON that is well but for half a character in a text, or no JSON."""
    try:
        found = json.loads(data.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return no_json(name_all(salvage.fields_of(data)))
    if not isinstance(found, dict):
        return no_json()
    halves = [field for field in ("to", "messageId", "message") if _is_half(found.get(field))]
    if not halves and not _is_half(json.dumps(found, ensure_ascii=False)):
        return no_json(name_all(found))
    sentence = "is not valid Unicode: it holds half of a surrogate pair"
    complaints = [(field, f"{field} {sentence}") for field in halves] or [("frame", f"a text {sentence}")]
    return BadFrame("bad_frame", _kind(found), name_all(found), *complaints)


def _refuse(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity, which Python takes


def _is_half(text: Any) -> bool:
    try:
        if isinstance(text, str):
            text.encode()
    except UnicodeEncodeError:
        return True
    return False
