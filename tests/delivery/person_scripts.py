"""The scripts that work on one person's keys, called directly on a real Redis, without the classes above them."""

import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from redis.asyncio import Redis

from delivery import scripts
from delivery.keys import OWN_CHATS, Person
from delivery.policy import Side, see
from delivery.presence import read_facts
from delivery.redis.client import Arg
from tests.delivery.script_headers import shape
from tests.support.links import link_to

DAY = 86_400
RECORDS_SECONDS = 31 * DAY
MOBILE = "9100000001"
ASHA = "9200000001"
RAVI = "9200000002"
PATIENCE_MS = 5_000
LIMITS: list[Arg] = [100, 100_000, 50]
NO_QUESTION: list[Arg] = ["", 0, 0, 0]


def digest(message: str) -> str:
    """Stands for the digest of a text."""
    return sha256(message.encode()).hexdigest()[:6]


def text(reply: Any) -> Any:
    """Bytes anywhere in a reply as str."""
    if isinstance(reply, list):
        return [text(each) for each in reply]
    return reply.decode() if isinstance(reply, bytes) else reply


class Scripts:
    """One person's keys. Server and connection are ``s1``/``c1`` unless said otherwise."""

    def __init__(self, redis: "Redis", mobile: str = MOBILE) -> None:
        self.redis = redis
        self.link = link_to(redis)
        self.keys = Person(mobile)

    async def call(self, script: scripts.Script, *args: Arg) -> Any:
        """The answer, which has the shape that the script's header promises."""
        reply = text(await self.link.call(script, self.keys.of(script), args))
        assert shape(script.name).fits(reply), (script.name, reply)
        return reply

    async def load(
        self,
        account: str = "account-1",
        version: int = 0,
        blocked: tuple[str, ...] = (),
        seen: int | str = "",
        privacy: str = "",
        since: int = 1,
        owned_since: int = 0,
    ) -> Any:
        """
        :param since: when all of these were blocked, in ms
        :param owned_since: when the account got the number, in ms
        """
        blocks = [word for mobile in blocked for word in (mobile, since)]
        return await self.call(scripts.LOAD, account, "epoch-1", version, seen, privacy, owned_since, *blocks)

    async def store_chat(
        self,
        message_id: str,
        message: str = "hello",
        sender: str = ASHA,
        limits: list[Arg] | None = None,
        most_bytes: int = 100_000,
        question: Sequence[Arg] = NO_QUESTION,
    ) -> Any:
        words: list[Arg] = [sender, *(limits or LIMITS), RECORDS_SECONDS, "s1", self.keys.mobile]
        words += [most_bytes, *question]
        chat = [message_id, message, digest(message)]
        verdict, _, servers, answers, self.standing = await self.call(scripts.STORE_CHATS, *words, *chat)
        if answers and "-" not in answers[0]:
            return [answers[0], "", servers]
        return ["stored", answers[0], servers] if answers else [verdict, "", servers]

    async def note_answered(self, to: str, life: int = 1000, most: int = 100) -> Any:
        """This person wrote to somebody."""
        return await self.call(scripts.NOTE_ANSWERED, to, life, most)

    async def store_receipt(
        self, message_ids: str, sender: str = ASHA, kind: str = "delivered", stream_ids: str = ""
    ) -> Any:
        words = [sender, kind, message_ids, "s1", self.keys.mobile, stream_ids]
        return await self.call(scripts.STORE_RECEIPT, *words)

    async def claim(
        self,
        device: str = "primary",
        server: str = "s1",
        connection: str = "c1",
        lease_ms: int = 60_000,
        most: int = 5,
        account: str = "account-1",
        mode: str = "proven",
        age_ms: int = 0,
        written: Arg = "",
    ) -> Any:
        """Without the number of devices, the privacy and the time."""
        whose: list[Arg] = [device, server, connection, lease_ms, most, account, mode, self.keys.mobile]
        reply = await self.call(scripts.CLAIM, *whose, age_ms, written, PATIENCE_MS)
        self.devices, self.privacy, _ = reply[-3:]
        return reply[:-3]

    async def renew(
        self,
        connection: str = "c1",
        server: str = "s1",
        age_ms: int = 0,
        lease_ms: int = 60_000,
        written: Arg = "",
    ) -> Any:
        """Without the privacy, the number of devices and the time."""
        whose: list[Arg] = ["primary", server, connection, lease_ms]
        *reply, self.privacy, self.devices, _ = await self.call(scripts.RENEW, *whose, age_ms, written, PATIENCE_MS)
        return reply

    async def release(self, connection: str = "c1", server: str = "s1", age_ms: int = 0) -> Any:
        return await self.call(scripts.RELEASE, "primary", server, connection, age_ms)

    async def read_presence(self, asker: str = ASHA) -> Any:
        """What an asker who hides nothing is told: online, seen or nothing; and when, in ms, or ""."""
        reply = await self.link.call(scripts.READ_PRESENCE, self.keys.of(scripts.READ_PRESENCE), [asker])
        assert shape("read_presence").fits(text(reply)), reply
        if reply[0] == b"not_cached":
            return ["not_cached", ""]
        facts, (side,) = read_facts(reply)
        view = see(Side(), side, facts)
        return ["online", ""] if view.online else ["seen", str(view.last_seen)] if view.last_seen else ["nothing", ""]

    async def read_sides(self, *others: str) -> Any:
        return await self.call(scripts.READ_SIDES, *others)

    async def fetch(
        self,
        mode: str = "new",
        device: str = "primary",
        server: str = "s1",
        connection: str = "c1",
        count: int = 100,
        cursor: str = "0-0",
        ids: tuple[str, ...] = (),
        settle: tuple[str, ...] = (),
    ) -> Any:
        whose: list[Arg] = [device, server, connection]
        settled = [*settle, *await self.sums(settle)]
        args = [*whose, mode, count, cursor, len(ids), len(settle), *ids, *settled]
        *reply, self.copies = await self.call(scripts.FETCH, *args)
        return reply

    async def settle(self, *ids: str, device: str = "primary") -> Any:
        args = [device, len(ids), *ids, *await self.sums(ids)]
        return await self.call(scripts.SETTLE, *args)

    async def sums(self, ids: Sequence[str]) -> list[Arg]:
        """What a server remembers of these entries, where they are: chats and bytes of each sender."""
        sums: dict[str, list[int]] = {}
        for stream_id in ids:
            for _, fields in await self.redis.xrange(self.keys.mailbox, stream_id, stream_id):
                if fields[b"k"] in (b"c", b"o"):
                    sender = fields[b"f"].decode() if fields[b"k"] == b"c" else OWN_CHATS
                    total = sums.setdefault(sender, [0, 0])
                    total[0] += 1
                    total[1] += len(fields[b"m"])
        return [word for sender, total in sums.items() for word in (sender, *total)]

    async def age_records(self) -> None:
        """As if they had been begun long ago."""
        if await self.redis.exists(self.keys.dedupe):
            await self.redis.hset(self.keys.dedupe, "since", "1")

    async def rotate_dedupe(self, kept_seconds: int = DAY, count: int = 100) -> Any:
        return (await self.call(scripts.ROTATE_DEDUPE, kept_seconds, RECORDS_SECONDS, count))[0]

    async def find_unread(self, *message_ids: str, sender: str = ASHA) -> Any:
        """Those that are unread alone."""
        unread, *self.told = await self.call(scripts.FIND_UNREAD, sender, *message_ids)
        return unread

    async def mark_read(self, *message_ids: str, sender: str = ASHA, device: str = "primary") -> Any:
        """The streamIds; :attr:`told` is what the other devices are told, and the servers."""
        ids, *self.told = await self.call(scripts.MARK_READ, device, sender, "s1", self.keys.mobile, *message_ids)
        return ids

    async def store_own(
        self,
        *chats: tuple[str, str, int],
        device: str = "primary",
        to: str = RAVI,
        most: int = 100,
        most_bytes: int = 100_000,
    ) -> Any:
        """Copies, each as (messageId, text, ms)."""
        flat: list[Arg] = [word for chat in chats for word in chat]
        return await self.call(
            scripts.STORE_OWN, device, to, "s1", self.keys.mobile, RECORDS_SECONDS, most, most_bytes, *flat
        )

    async def note_acknowledged(self, chats: Mapping[str, str], sender: str = ASHA) -> Any:
        """:param chats: messageId -> streamId"""
        return await self.call(scripts.NOTE_ACKNOWLEDGED, sender, " ".join(chats), *chats.values())

    async def note_delivered(self, *message_ids: str, sender: str = ASHA, state: str = "a") -> Any:
        return await self.call(scripts.NOTE_DELIVERED, sender, state, *message_ids)

    async def find_unacknowledged(self, *message_ids: str, sender: str = ASHA) -> Any:
        return await self.call(scripts.FIND_UNACKNOWLEDGED, sender, *message_ids)

    async def expire(self, *ids: str, latest: str = "0-0") -> Any:
        return await self.call(scripts.EXPIRE, latest, *ids)

    async def expire_shadows(self, *ids: str) -> Any:
        return await self.call(scripts.EXPIRE_SHADOWS, *ids)

    async def sweep(self, gone: str = "", lease_ms: int = 60_000) -> Any:
        return await self.call(scripts.SWEEP, lease_ms, gone)

    async def find_stuck(self, too_long_ms: int = 30_000) -> Any:
        return await self.call(scripts.FIND_STUCK, too_long_ms)

    async def forget_device(self, device: str, since_ms: int | None = None) -> Any:
        limit = int(time.time() * 1000) + 1000 if since_ms is None else since_ms
        return await self.call(scripts.FORGET_DEVICE, device, limit)

    async def delete_empty(self) -> Any:
        return await self.call(scripts.DELETE_EMPTY)

    # ---- what is in Redis now

    async def whole_tally(self) -> dict[str, int]:
        return {name.decode(): int(value) for name, value in (await self.redis.hgetall(self.keys.tally)).items()}

    async def tally(self) -> dict[str, int]:
        """Without the bytes of each sender."""
        whole = await self.whole_tally()
        return {name: value for name, value in whole.items() if not name.startswith(("b:", "pb:"))}

    async def waits(self) -> list[str]:
        """The streamIds in the mailbox."""
        return [stream_id.decode() for stream_id, _ in await self.redis.xrange(self.keys.mailbox)]

    async def groups(self) -> list[str]:
        return sorted(text(group["name"]) for group in await self.redis.xinfo_groups(self.keys.mailbox))

    async def states(self, key: str) -> list[str]:
        """The state letters of the dedupe records in a hash."""
        found = await self.redis.hgetall(key)
        return sorted(chr(record[0]) for field, record in found.items() if field not in (b"since", b"walk"))

    async def snapshot(self) -> dict[str, bytes | None]:
        """Everything there is, to be compared with later."""
        return {name.decode(): await self.redis.dump(name) for name in sorted(await self.redis.keys("*"))}


async def now_ms(person: Scripts) -> int:
    seconds, micros = await person.redis.time()
    return int(seconds) * 1000 + int(micros) // 1000
