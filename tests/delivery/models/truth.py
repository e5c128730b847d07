"""What Redis really holds of one person, in the shape the model has."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from delivery.redis.client import RedisClient
from protocol.entries import Chat
from protocol.stored_entries import decode_entry, decode_shadow

DIGEST = 20
"""Letters of the digest that a dedupe record is found by."""
Id = tuple[int, int]


def place(stream_id: str | bytes) -> Id:
    """A streamId as numbers."""
    ms, _, number = (stream_id if isinstance(stream_id, str) else stream_id.decode()).partition("-")
    return int(ms), int(number)


def named(identifier: Id) -> str:
    """A streamId as Redis writes it."""
    return f"{identifier[0]}-{identifier[1]}"


@dataclass
class Group:
    """One device's place in a mailbox: read up to, and what is pending with which consumer."""

    read: Id = (0, 0)
    pending: dict[Id, str] = field(default_factory=dict)


@dataclass
class Truth:
    """One person's slot.

    :param texts: (sender, bytes) of the chats in the mailbox
    :param believed: the same of the phantoms, and ``places`` are the streamIds their senders were told
    """

    mailbox: list[Id] | None = None
    texts: list[tuple[str, int]] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)
    phantoms: list[Id] = field(default_factory=list)
    believed: list[tuple[str, int]] = field(default_factory=list)
    places: list[Id] = field(default_factory=list)
    tally: dict[str, int] = field(default_factory=dict)
    parked: dict[Id, int] = field(default_factory=dict)
    leases: dict[str, str] = field(default_factory=dict)
    last_seen: int = 0
    devices: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    remembered: set[str] = field(default_factory=set)
    """The digests in the dedupe records."""
    lasting: set[str] = field(default_factory=set)
    """First words of the keys that never expire."""


async def look(link: RedisClient, mobiles: Sequence[str]) -> tuple[dict[str, Truth], set[str]]:
    """Everybody's slot, and the keys that are nobody's."""
    names = sorted(name.decode() for name in await link.command("KEYS", "*"))
    commands = [each for name in names for each in (("TTL", name), _reading(name))]
    replies = await link.pipeline(commands) if names else []
    found, strange = {mobile: Truth() for mobile in mobiles}, set[str]()
    for name, ttl, content in zip(names, replies[::2], replies[1::2], strict=True):
        word, _, tag = name.partition(":")
        mobile = tag.partition("}")[0].removeprefix("{")
        if mobile not in found or not tag.startswith("{"):
            strange.add(name)
            continue
        if ttl == -1:
            found[mobile].lasting.add(word)
        _note(found[mobile], word, content)
    return found, strange


def _reading(name: str) -> tuple[str, ...]:
    match name.partition(":")[0]:
        case "mailbox":
            return ("XINFO", "STREAM", name, "FULL", "COUNT", "0")
        case "phantoms":
            return ("XRANGE", name, "-", "+")
        case "blockedUser":
            return ("SMEMBERS", name)
        case "lastseen" | "model":
            return ("GET", name)
        case _:
            return ("HGETALL", name)


def _pairs(flat: list[Any]) -> dict[str, Any]:
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _note(truth: Truth, word: str, content: Any) -> None:
    match word:
        case "mailbox":
            _note_mailbox(truth, _pairs(content))
        case "phantoms":
            shadows = [decode_shadow(*entry) for entry in content]
            truth.phantoms = [place(each.shadow_id) for each in shadows]
            truth.places = [place(each.chat_id) for each in shadows]
            truth.believed = [(each.sender, each.size) for each in shadows]
        case "blockedUser":
            truth.blocked = {mobile.decode() for mobile in content}
        case "lastseen":
            truth.last_seen = int(content)
        case "person":
            truth.devices = {name.removeprefix("dev:") for name in _pairs(content) if name.startswith("dev:")}
        case "tally":
            truth.tally = {name: int(count) for name, count in _pairs(content).items()}
        case "parked":
            truth.parked = {place(name): int(count) for name, count in _pairs(content).items()}
        case "seen":
            truth.remembered |= {name for name in _pairs(content) if len(name) == DIGEST}
        case "leases":
            truth.leases = {device: lease.decode() for device, lease in _pairs(content).items()}


def _note_mailbox(truth: Truth, facts: dict[str, Any]) -> None:
    entries = [decode_entry(*entry) for entry in facts["entries"]]
    truth.mailbox = [place(each.stream_id) for each in entries]
    truth.texts = [(each.sender, each.size) for each in entries if isinstance(each, Chat)]
    for words in facts["groups"]:
        group = _pairs(words)
        pending = {place(each[0]): each[1].decode() for each in group["pending"]}
        truth.groups[group["name"].decode()] = Group(place(group["last-delivered-id"]), pending)
