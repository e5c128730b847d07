"""Whatever happens to a mailbox in whatever order, what is counted is what is there."""

import random
from collections import Counter

import pytest

from tests.delivery.person_scripts import ASHA, RAVI, Scripts

SENDERS = (ASHA, RAVI, "9200000003")
STEPS = 250
LIMITS: list[str | bytes | int] = [12, 400, 8]


class Story:
    """One person's mailbox under a seeded stream of verbs; ``waiting`` is what must be there."""

    def __init__(self, person: Scripts, seed: int) -> None:
        self.person = person
        self.dice = random.Random(seed)  # noqa: S311 - a story that can be told again
        self.version = 0
        self.turned = False
        self.first_answers: dict[tuple[str, str], str] = {}
        self.first_texts: dict[tuple[str, str], str] = {}

    async def step(self) -> None:
        verbs = {
            self.send: 12,
            self.settle: 5,
            self.collect: 5,
            self.expire: 2,
            self.expire_shadows: 1,
            self.read: 2,
            self.block: 1,
            self.quarrel: 1,
            self.connect: 2,
            self.forget: 1,
            self.receipt: 1,
            self.tidy: 1,
            self.turn: 1,
        }
        await self.dice.choices(list(verbs), list(verbs.values()))[0]()

    def device(self) -> str:
        return self.dice.choice(["phone", "tablet"])

    async def some_ids(self) -> list[str]:
        ids = [*await self.person.waits(), "1-1"]
        return self.dice.sample(ids, self.dice.randint(1, min(4, len(ids))))

    async def send(self) -> None:
        sender, message_id = self.dice.choice(SENDERS), f"m{self.dice.randint(0, 40)}"
        known, first = (sender, message_id) in self.first_texts, self.first_texts.get((sender, message_id), "")
        message = first if known and self.dice.random() < 0.5 else "é" * self.dice.randint(1, 40)
        verdict, stream_id, _ = await self.person.store_chat(message_id, message, sender, LIMITS)
        if known:
            assert verdict == ("stored" if message == first else "reused")
        if verdict == "stored":
            assert self.first_answers.setdefault((sender, message_id), stream_id) == stream_id
            self.first_texts[sender, message_id] = message

    async def receipt(self) -> None:
        await self.person.store_receipt("m1 m2", self.dice.choice(SENDERS))

    async def settle(self) -> None:
        await self.person.settle(*await self.some_ids(), device=self.device())

    async def expire(self) -> None:
        await self.person.expire(*await self.some_ids())

    async def expire_shadows(self) -> None:
        ids = [stream_id.decode() for stream_id, _ in await self.person.redis.xrange(self.person.keys.shadows)]
        await self.person.expire_shadows(*ids[:3], "1-1")

    async def read(self) -> None:
        ids = [f"m{self.dice.randint(0, 40)}" for _ in range(3)]
        await self.person.mark_read(*ids, sender=self.dice.choice(SENDERS), device=self.device())

    async def block(self) -> None:
        self.version += 1
        blocked = tuple(sender for sender in SENDERS if self.dice.random() < 0.3)
        await self.person.load(version=self.version, blocked=blocked)

    async def quarrel(self) -> None:
        """What waits of somebody meets their block."""
        device, sender = self.device(), self.dice.choice(SENDERS)
        await self.person.store_chat(f"q{self.version}", "é", sender, LIMITS)
        self.version += 1
        await self.person.load(version=self.version, blocked=(sender,))
        await self.person.claim(device)
        await self.take("new", device)

    async def connect(self) -> None:
        await self.person.claim(self.device())

    async def collect(self) -> None:
        mode, device = self.dice.choice(["new", "pending"]), self.device()
        if self.dice.random() < 0.5:
            await self.person.claim(device)
        await self.take(mode, device)

    async def take(self, mode: str, device: str) -> None:
        before = await believed(self.person)
        await self.person.fetch(mode, device=device, count=self.dice.randint(1, 6))
        gone = before - await believed(self.person)
        states = {record[1:]: record[:1] for record in await records(self.person)}
        assert all(states[stream_id] in "dr" for stream_id in gone)

    async def forget(self) -> None:
        await self.person.sweep("s1")
        await self.person.forget_device(self.device())

    async def tidy(self) -> None:
        await self.person.delete_empty()

    async def turn(self) -> None:
        """Only once, or what left long ago would be new again."""
        if not self.turned:
            await self.person.age_records()
        self.turned = await self.person.rotate_dedupe(count=2) in ("more", "rotated") or self.turned


async def expected(person: Scripts) -> dict[str, int]:
    """The tally as a count of the streams would have it."""
    count: Counter[str] = Counter()
    for _, entry in await person.redis.xrange(person.keys.mailbox):
        if entry[b"k"] == b"c":
            sender, size = entry[b"f"].decode(), len(entry[b"m"])
            count.update({"n": 1, "b": size, f"n:{sender}": 1, f"b:{sender}": size})
    for _, shadow in await person.redis.xrange(person.keys.shadows):
        sender, size = shadow[b"f"].decode(), int(shadow[b"b"])
        count.update({"pn": 1, "pb": size, f"pn:{sender}": 1, f"pb:{sender}": size})
    return dict(count)


async def records(person: Scripts) -> list[str]:
    """Dedupe records as they count: a letter for the state, and the streamId."""
    both = {
        **await person.redis.hgetall(person.keys.dedupe_before),
        **await person.redis.hgetall(person.keys.dedupe),
    }
    return [record.decode().partition(" ")[0] for field, record in both.items() if field not in (b"since", b"walk")]


async def believed(person: Scripts) -> set[str]:
    """The streamIds of what senders must think waits, as no receipt has told them anything else."""
    chats = {at.decode() for at, entry in await person.redis.xrange(person.keys.mailbox) if entry[b"k"] == b"c"}
    shadows = {shadow.get(b"t", at).decode() for at, shadow in await person.redis.xrange(person.keys.shadows)}
    assert {record[1:] for record in await records(person)} >= chats | shadows
    return chats | shadows


async def nothing_dangles(person: Scripts) -> None:
    """No group holds an entry as pending that is not in the stream."""
    waits = set(await person.waits())
    for group in await person.redis.xinfo_groups(person.keys.mailbox) if waits else []:
        pending = await person.redis.xpending_range(person.keys.mailbox, group["name"], "-", "+", 1000)
        assert {each["message_id"].decode() for each in pending} <= waits


@pytest.mark.parametrize("seed", range(8))
async def test_the_tally_is_what_is_there(person: Scripts, seed: int) -> None:
    story, dropped = Story(person, seed), 0
    for _ in range(STEPS):
        await story.step()
        counted = await expected(person)
        assert await person.whole_tally() == counted
        assert counted.get("n", 0) <= 12
        assert counted.get("b", 0) <= 400
        await nothing_dangles(person)
        dropped += sum(b"t" in shadow for _, shadow in await person.redis.xrange(person.keys.shadows))
    assert dropped > 0
    assert len(story.first_answers) > 20
