"""Fifty people who talk, read, block, look each other up, log out and come back, while things break."""

import asyncio
import random
import time
from collections.abc import Coroutine, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from tools.chaos.affairs import FULL, Affairs
from tools.chaos.conversation import Manners
from tools.chaos.crowd import Crowd
from tools.chaos.frames import SEED, V1
from tools.chaos.history import History
from tools.chaos.person import Person

TICK: Final = 0.02
FRIENDS: Final = 6
WAITING: Final = 20
"""Chats one person may have unsent: while nothing gets through, people do not write without end."""
AT_ONCE: Final = 8
"""People who sign up at once."""
QUIET: Final = 5.0
"""Seconds without news after which, when storage lost something, nothing more is expected."""


class Population:
    """People on real sockets, half of them in each dialect.

    Their outboxes repeat a messageId until it is answered. ``drain`` needs longer than the servers take to send an
    entry again (REDELIVER_SECONDS) and to notice a lost lease (PING_SECONDS): give it more than both.

    :param history: everything is noted there; it stays open
    :param addresses: HTTP base URLs of the server groups
    :param rate: chats a second of all together
    :param often: what people do more or less often than ``affairs.A_SECOND`` says
    """

    def __init__(
        self,
        history: History,
        addresses: Sequence[str],
        *,
        people: int = 50,
        rate: float = 200.0,
        seed: int = 0,
        often: Mapping[str, float] | None = None,
    ) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - a seed that can be repeated
        self._history, self._rate = history, rate
        self._crowd = Crowd(history, addresses, self._rng)
        self.people = [Person(self._crowd.number(), self._crowd, self._manners(n), self._rng) for n in range(people)]
        self._friends: dict[str, list[str]] = {}
        self._affairs = Affairs(self._crowd, self.people, self._rng, often or {})
        self._lives: list[asyncio.Task[None]] = []
        self._debt = 0.0

    @property
    def addresses(self) -> list[str]:
        """Where people connect to from now on."""
        return self._crowd.addresses

    @addresses.setter
    def addresses(self, addresses: Sequence[str]) -> None:
        self._crowd.addresses = list(addresses)

    def _manners(self, n: int) -> Manners:
        return Manners(
            dialect=SEED if n % 2 else V1,
            pipelined=FULL if n % 10 == 9 else 8 if n % 5 == 4 else 1,
            hasty=n % 10 == 9,
            lazy=1.0 if n % 7 == 3 else 0.0,
            liar=n % 4 == 1,
        )

    # ---- the four acts

    async def begin(self) -> None:
        """Sign up, log in, connect everybody."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def enter(person: Person) -> None:
            async with gate:
                await person.sign_up()
                await person.log_in()

        await asyncio.gather(*map(enter, self.people))
        self._crowd.mobiles = [person.mobile for person in self.people]
        self._befriend()
        self._lives = [self._start(person.live()) for person in self.people]
        self._lives.append(self._start(self._tick()))
        while not self._everybody_connected():
            self._look_after()
            await asyncio.sleep(TICK)

    async def talk(self, seconds: float) -> None:
        """Chats at the given rate, and all the rest of life."""
        end = last = time.monotonic()
        end += seconds
        while (now := time.monotonic()) < end:
            self._debt += (now - last) * self._rate
            while self._debt >= 1:
                self._debt -= 1
                self._chat()
            self._affairs.go_on(now - last)
            self._look_after()
            last = now
            await asyncio.sleep(TICK)

    async def drain(self, seconds: float) -> bool:
        """Nothing new; wait until everybody is connected, every chat answered, delivered and receipted. What a block
        may have withheld is not waited for; nor, once storage was told to have lost something, what stays away."""
        end = time.monotonic() + seconds
        self._affairs.wind_up()
        for person in self.people:
            person.come_back()
        while not (done := await self._drained()) and time.monotonic() < end:
            self._look_after()
            await asyncio.sleep(5 * TICK)
        for person in self.people:
            self._history.record("outage", mobile=person.mobile, seconds=round(person.conversation.longest_outage, 3))
        self._history.record("drained", ok=done, waiting=self._waiting())
        return done

    async def end(self) -> None:
        """Close all."""
        await self._affairs.end()
        for task in self._lives:
            task.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        await self._crowd.web.close()

    def figures(self) -> dict[str, int]:
        """Chats so far: begun, acknowledged, delivered, receipts."""
        return {what: self._crowd.count[what] for what in ("begun", "acknowledged", "delivered", "receipts")}

    # ----

    def _start(self, life: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.create_task(life)

    def _befriend(self) -> None:
        """Everybody has some he writes to: conversations that go on, not strangers each time."""
        mobiles = self._crowd.mobiles
        for mobile in mobiles:
            others = [other for other in mobiles if other != mobile]
            self._friends[mobile] = self._rng.sample(others, min(FRIENDS, len(others)))
        for one, other in pairwise(mobiles):  # and some are written back to
            self._friends[one][-1], self._friends[other][0] = other, one

    def _chat(self) -> None:
        person = self._rng.choice(self.people)
        if len(person.outbox) < WAITING:
            text = f"{self._rng.getrandbits(64):x} " * self._rng.randint(1, 12)
            person.say(self._rng.choice(self._friends[person.mobile]), text + "\u00e9\U0001f680")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            now = time.monotonic()
            for person in self.people:
                person.tick(now)

    def _look_after(self) -> None:
        """A client that failed is a fault of the harness, and ends it."""
        for life in self._lives:
            if life.done():
                life.result()
        self._affairs.look_after()

    def _everybody_connected(self) -> bool:
        return all(person.connected for person in self.people)

    def _waiting(self) -> int:
        """Chats that are not answered, or answered and neither receipted nor perhaps withheld by a block."""
        unanswered = sum(len(person.outbox) for person in self.people)
        return unanswered + sum(
            (peer, person.mobile) not in self._affairs.blocked
            for person in self.people
            for peer, _ in person.conversation.awaiting
        )

    async def _drained(self) -> bool:
        if not self._everybody_connected() or self._affairs.busy:
            return False
        if self._waiting() == 0:
            return True
        if not self._crowd.storage_lost or any(len(person.outbox) for person in self.people):
            return False
        before = self.figures()
        await asyncio.sleep(QUIET)
        return before == self.figures()
