"""What ``client.api`` answers, as values with types. Fields that a newer server adds are passed over."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, TypeVar, get_type_hints

A = TypeVar("A")
Audience = Literal["everyone", "contacts", "nobody"]
Switch = Literal["on", "off"]


@dataclass(frozen=True, slots=True)
class Profile:
    """A person as they see themselves."""

    id: str
    name: str
    about: str
    mobile_no: str
    device_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A login session that lives."""

    id: str
    device_id: str
    device_name: str
    created_at: datetime
    last_used_at: datetime
    current: bool


@dataclass(frozen=True, slots=True)
class Device:
    """A linked device; ``waiting`` counts what it has not acknowledged."""

    device_id: str
    device_name: str
    last_seen: datetime | Literal["online"]
    waiting: int
    current: bool


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """Something that happened to the account, or several like it within a minute (``times``)."""

    id: str
    kind: str
    at: datetime
    device_id: str
    times: int
    session_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BlockedPerson:
    """Somebody whom one blocks."""

    username: str
    mobile_no: str


@dataclass(frozen=True, slots=True)
class LastSeen:
    """When somebody was last online. None: never, or they hide it."""

    username: str
    mobile_no: str
    last_seen: datetime | Literal["online"] | None = None


@dataclass(frozen=True, slots=True)
class FoundPerson:
    """Somebody of an address book; ``index`` is the place in what was asked."""

    index: int
    mobile_no: str
    name: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Who has an account, and which numbers could not be read (``[{"field", "message"}]``)."""

    people: list[FoundPerson]
    errors: list[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Privacy:
    """Who may see what, and which receipts are told."""

    last_seen: Audience
    online: Audience
    read_receipts: Switch
    stranger_receipts: Switch


def camel(name: str) -> str:
    """A name as JSON has it."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def read(kind: type[A], data: Mapping[str, Any]) -> A:
    """A value of this type from an answer.

    :raises KeyError: the server left out what it must say
    """
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type] # all of them are dataclasses
        name = camel(field.name)
        if name in data:
            found[field.name] = _moment(hints[field.name], data[name])
    return kind(**found)


def _moment(hint: Any, value: Any) -> Any:
    is_moment = hint is datetime or datetime in getattr(hint, "__args__", ())
    return datetime.fromisoformat(value) if is_moment and value != "online" else value
