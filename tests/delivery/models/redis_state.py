"""What Redis really holds of one person, in the shape the model has."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from delivery.redis.client import RedisClient
from protocol.entries import Chat, OwnChat
from protocol.stored_entries import decode_entry, decode_shadow
from tools.simulate.redis_model.stream_ids import Group, Id, parse_id

DIGEST = 20
"""Letters of the digest that a dedupe record is found by."""


@dataclass
class RedisState:
    """One person's model.

    :param texts: (sender, bytes) of the chats in the mailbox
    :param believed: the same of the shadow entries, and ``places`` are the streamIds their senders were told
    :param own: bytes of the copies of what this person sent
    """

    mailbox: list[Id] | None = None
    texts: list[tuple[str, int]] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)
    shadows: list[Id] = field(default_factory=list)
    believed: list[tuple[str, int]] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    places: list[Id] = field(default_factory=list)
    tally: dict[str, int] = field(default_factory=dict)
    entry_states: dict[Id, int] = field(default_factory=dict)
    leases: dict[str, str] = field(default_factory=dict)
    last_seen: int = 0
    devices: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    frozen: dict[str, int] = field(default_factory=dict)
    remembered: set[str] = field(default_factory=set)
    """The digests in the dedupe records."""
    lasting: set[str] = field(default_factory=set)
    """First words of the keys that never expire."""


async def look(link: RedisClient, mobiles: Sequence[str]) -> tuple[dict[str, RedisState], set[str]]:
    """Everybody's model, and the keys that are nobody's."""
    names = sorted(name.decode() for name in await link.command("KEYS", "*"))
    commands = [each for name in names for each in (("TTL", name), _reading(name))]
    replies = await link.pipeline(commands) if names else []
    found, strange = {mobile: RedisState() for mobile in mobiles}, set[str]()
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


def _note(state: RedisState, word: str, content: Any) -> None:
    match word:
        case "mailbox":
            _note_mailbox(state, _pairs(content))
        case "phantoms":
            shadows = [decode_shadow(*entry) for entry in content]
            state.shadows = [parse_id(each.shadow_id) for each in shadows]
            state.places = [parse_id(each.chat_id) for each in shadows]
            state.believed = [(each.sender, each.size) for each in shadows]
        case "blockedUser" | "blockedAt":
            _note_blocks(state, word, content)
        case "lastseen":
            state.last_seen = int(content)
        case "person":
            state.devices = {name.removeprefix("dev:") for name in _pairs(content) if name.startswith("dev:")}
        case "tally":
            state.tally = {name: int(count) for name, count in _pairs(content).items()}
        case "parked":
            state.entry_states = {parse_id(name): int(count) for name, count in _pairs(content).items()}
        case "seen":
            state.remembered |= {name for name in _pairs(content) if len(name) == DIGEST}
        case "leases":
            state.leases = {device: lease.decode() for device, lease in _pairs(content).items()}


def _note_mailbox(state: RedisState, facts: dict[str, Any]) -> None:
    entries = [decode_entry(*entry) for entry in facts["entries"]]
    state.mailbox = [parse_id(each.stream_id) for each in entries]
    state.texts = [(each.sender, each.size) for each in entries if isinstance(each, Chat)]
    state.own = [each.size for each in entries if isinstance(each, OwnChat)]
    for words in facts["groups"]:
        group = _pairs(words)
        pending = {parse_id(each[0]): each[1].decode() for each in group["pending"]}
        state.groups[group["name"].decode()] = Group(parse_id(group["last-delivered-id"]), pending)


def _note_blocks(state: RedisState, word: str, content: Any) -> None:
    if word == "blockedUser":
        state.blocked = {mobile.decode() for mobile in content}
    else:
        state.frozen = {mobile: int(at) for mobile, at in _pairs(content).items()}
