"""What is seen of the two people in Redis: one look as a value, and the news between two looks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from delivery.keys import SERVERS, Person, server
from protocol.entries import Chat, OwnChat, OwnRead, Receipt
from protocol.stored_entries import decode_entry, decode_shadow
from tools.devstack.process import birth

MOST: Final = 3_000
"""Entries of one mailbox that are shown."""
TEXT: Final = 60
"""Characters of a text that are shown."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One entry of a mailbox.

    :param kind: chat, receipt, own or ownRead
    :param other: who it is from; of an own chat whom it is to
    :param pending: it was sent to the device, which has not acknowledged it
    """

    stream_id: str
    kind: str
    other: str
    message_ids: list[str]
    text: str = ""
    ack_type: str = ""
    pending: bool = False


class Lease(msgspec.Struct, frozen=True, rename="camel"):
    """:param ends_at: in ms of Redis' clock"""

    device: str
    server_id: str
    ends_at: int


class Mailbox(msgspec.Struct, frozen=True, rename="camel"):
    """One person.

    :param withheld: messageIds of chats whose sender was blocked: shadow entries
    """

    mobile: str
    entries: list[Entry]
    leases: list[Lease]
    withheld: list[str]


class Server(msgspec.Struct, frozen=True, rename="camel"):
    """A living server process."""

    server_id: str
    pid: int


class Seen(msgspec.Struct, frozen=True, rename="camel"):
    """One look.

    :param redis: whether Redis answered; if not, the mailboxes are as they were before
    """

    redis: bool
    servers: list[Server]
    mailboxes: dict[str, Mailbox]


class News(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One thing that happened.

    :param what: stored, settled, leased, released, notified, came, went, away, back
    :param whose: the phone whose mailbox it is about
    :param word: of a notification: what it says
    """

    what: str
    whose: str = ""
    entry: Entry | None = None
    server_id: str = ""
    word: str = ""


@dataclass(frozen=True)
class _Raw:
    entries: list[tuple[bytes, dict[bytes, bytes]]]
    leases: dict[bytes, bytes]
    shadows: list[tuple[bytes, dict[bytes, bytes]]]
    groups: list[bytes]


async def servers_of(redis: "Redis", parent: int) -> list[Server]:
    """The living server processes of one ``sanic`` command, whose own process is ``parent``.

    :raises redis.RedisError: Redis does not answer
    """
    names = [name.decode() for name in await redis.zrange(SERVERS, 0, -1)]
    records = await redis.mget([server(name) for name in names]) if names else []
    found = []
    for name, record in sorted(zip(names, records, strict=True)):
        facts = msgspec.json.decode(record) if record else {}
        if facts.get("parent") == parent and birth(facts["pid"]):
            found.append(Server(name, facts["pid"]))
    return found


async def look_at(redis: "Redis", mobiles: dict[str, str]) -> dict[str, Mailbox]:
    """The mailbox of each phone.

    :param mobiles: phone -> mobile number
    :raises redis.RedisError: Redis does not answer
    """
    pipeline = redis.pipeline(transaction=False)
    for mobile in mobiles.values():
        keys = Person(mobile)
        pipeline.xrange(keys.mailbox, count=MOST)
        pipeline.hgetall(keys.leases)
        pipeline.xrange(keys.shadows, count=MOST)
        pipeline.xinfo_groups(keys.mailbox)
    replies = map(_answered, await pipeline.execute(raise_on_error=False))
    raw = {}
    for phone, (entries, leases, shadows, groups) in zip(mobiles, zip(*[replies] * 4, strict=True), strict=True):
        raw[phone] = _Raw(entries, leases, shadows, [each["name"] for each in groups])
    pending = await _pending(redis, {phone: (mobiles[phone], raw[phone].groups) for phone in raw})
    return {phone: _mailbox(mobiles[phone], raw[phone], pending[phone]) for phone in mobiles}


def _answered(reply: Any) -> Any:
    if isinstance(reply, ResponseError):  # a mailbox that does not exist has no groups, and none between two questions
        return []
    if isinstance(reply, Exception):
        raise reply
    return reply


async def _pending(redis: "Redis", groups: dict[str, tuple[str, list[bytes]]]) -> dict[str, set[bytes]]:
    asked = [(phone, mobile, name) for phone, (mobile, names) in groups.items() for name in names]
    pipeline = redis.pipeline(transaction=False)
    for _phone, mobile, name in asked:
        pipeline.xpending_range(Person(mobile).mailbox, name, "-", "+", MOST)
    found: dict[str, set[bytes]] = {phone: set() for phone in groups}
    replies = await pipeline.execute(raise_on_error=False) if asked else []
    for (phone, _mobile, _name), reply in zip(asked, replies, strict=True):
        found[phone] |= {each["message_id"] for each in _answered(reply)}
    return found


def _mailbox(mobile: str, raw: _Raw, pending: set[bytes]) -> Mailbox:
    shadows = [decode_shadow(name, _flat(fields)) for name, fields in raw.shadows]
    return Mailbox(
        mobile,
        [_entry(name, fields, pending=name in pending) for name, fields in raw.entries],
        [_lease(device, value) for device, value in sorted(raw.leases.items())],
        [each.message_id for each in shadows],
    )


def _flat(fields: dict[bytes, bytes]) -> list[bytes]:
    return [part for pair in fields.items() for part in pair]


def _entry(name: bytes, fields: dict[bytes, bytes], *, pending: bool) -> Entry:
    match decode_entry(name, _flat(fields)):
        case Chat(stream_id, sender, message_id, message):
            return Entry(stream_id, "chat", sender, [message_id], message[:TEXT], pending=pending)
        case Receipt(stream_id, sender, ack_type, message_ids):
            return Entry(stream_id, "receipt", sender, message_ids, ack_type=ack_type, pending=pending)
        case OwnChat(stream_id, to, message_id, message):
            return Entry(stream_id, "own", to, [message_id], message[:TEXT], pending=pending)
        case OwnRead(stream_id, sender, message_ids):
            return Entry(stream_id, "ownRead", sender, message_ids, pending=pending)


def _lease(device: bytes, value: bytes) -> Lease:
    server_id, _connection, _alive_at, ends_at = value.decode().split(" ")
    return Lease(device.decode(), server_id, int(ends_at))


def news_between(before: Seen, after: Seen) -> Iterator[News]:
    """What changed from one look to the next. An entry that came and left between the two is not seen."""
    for each in after.servers:
        if each not in before.servers:
            yield News("came", server_id=each.server_id)
    for each in before.servers:
        if each not in after.servers:
            yield News("went", server_id=each.server_id)
    if before.redis != after.redis:
        yield News("back" if after.redis else "away")
    for phone, now in after.mailboxes.items():
        earlier = before.mailboxes.get(phone)
        if earlier is not None:
            yield from _mailbox_news(phone, earlier, now)


def _mailbox_news(phone: str, before: Mailbox, after: Mailbox) -> Iterator[News]:
    old, new = ({each.stream_id for each in box.entries} for box in (before, after))
    yield from (News("stored", phone, plain(each)) for each in after.entries if each.stream_id not in old)
    yield from (News("settled", phone, plain(each)) for each in before.entries if each.stream_id not in new)
    had, has = ({(each.device, each.server_id) for each in box.leases} for box in (before, after))
    yield from (News("leased", phone, server_id=server_id) for _device, server_id in sorted(has - had))
    yield from (News("released", phone, server_id=server_id) for _device, server_id in sorted(had - has))


def plain(entry: Entry) -> Entry:
    """Without what changes while it waits."""
    return msgspec.structs.replace(entry, pending=False)
