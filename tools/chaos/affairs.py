"""What people do besides chatting: look each other up, block and unblock, log out, vanish, repeat themselves."""

import asyncio
import contextlib
import random
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

from tools.chaos.crowd import Crowd
from tools.chaos.person import Person

A_SECOND: Final = {
    **{"look": 8.0, "block": 0.4, "log_out": 0.2, "vanish": 0.4, "tunnel": 0.2},
    **{"cut": 1.0, "switch": 0.5, "repeat": 1.0, "burst": 0.5, "outbox": 0.1},
}
"""How often each happens among fifty people; among fewer in proportion."""
BLOCKERS: Final = 10
"""One person in so many blocks now and then: always the same one other, so that most pairs never know a block."""


BLOCK_SECONDS: Final = (3.0, 3.0, 10.0)
"""How long a block stands, at most: one of these. Some outlast a fault."""


BURST: Final = 6
"""Chats that somebody writes to one other at once."""


FULL: Final = 320
"""Chats in a full outbox, more than a server has in hand of one connection."""
LENGTH: Final = 2_500
"""Characters of each: together more than a server has in hand, too."""
AMONG: Final = 4
"""People they are for."""


LONG: Final = 12.0
"""Seconds somebody stays away, at most: where a lease is shorter, others must see that he is gone."""


NEWS: Final = 0.5
"""Seconds for which it is news that somebody has come."""


class Affairs:
    """Starts them at random moments. ``blocked`` holds every (blocker, blocked) there ever was.

    :param often: what differs from :data:`A_SECOND`
    """

    def __init__(self, crowd: Crowd, people: Sequence[Person], rng: random.Random, often: Mapping[str, float]) -> None:
        self._crowd, self._people, self._rng = crowd, people, rng
        self._often = {**A_SECOND, **often}
        self._under_way: set[asyncio.Task[None]] = set()
        self._blocking: set[int] = set()
        self._ending = asyncio.Event()
        self.blocked: set[tuple[str, str]] = set()

    @property
    def busy(self) -> bool:
        """Whether anything is not finished."""
        return bool(self._under_way)

    def go_on(self, seconds: float) -> None:
        """So much time has passed."""
        for what, often in self._often.items():
            if self._rng.random() < often * seconds * len(self._people) / 50:
                self._begin(what)

    def look_after(self) -> None:
        """Raises what failed in one of them."""
        for task in [task for task in self._under_way if task.done()]:
            self._under_way.discard(task)
            task.result()

    def wind_up(self) -> None:
        """Nothing new comes: what would go on for a while ends now."""
        self._ending.set()

    async def end(self) -> None:
        """Stop what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _begin(self, what: str) -> None:
        person = self._rng.choice(self._people)
        match what:
            case "look":
                self._do(self._look(person, self._interesting(person)))
            case "log_out" if person.connected:
                self._do(person.log_out())
            case "block":
                place = self._rng.randrange(0, max(1, len(self._people) // BLOCKERS)) * BLOCKERS % len(self._people)
                if place not in self._blocking:
                    self._blocking.add(place)
                    self._do(self._block_for_a_while(place))
            case "burst":
                peer = self._rng.choice([other for other in self._people if other is not person])
                for n in range(BURST):
                    person.say(peer.mobile, f"{n} of {BURST}")
            case "outbox" if person.connected and person.hasty:
                person.vanish()
                for n in range(FULL):
                    peer = self._people[(self._people.index(person) + 1 + n % AMONG) % len(self._people)]
                    person.say(peer.mobile, f"{n} of {FULL} ".ljust(LENGTH, "."))
            case "repeat":
                person.conversation.repeat()
            case _:
                self._leave(person, what)

    def _leave(self, person: Person, what: str) -> None:
        match what:
            case "vanish":
                person.vanish(self._rng.choice((0.0, 0.0, self._rng.uniform(1, LONG))))
            case "tunnel":
                person.lose_signal(self._rng.uniform(1, LONG))
            case "cut":
                person.cut()
            case "switch":
                person.switch()

    def _interesting(self, person: Person) -> Person:
        """Anybody else; rather somebody who is away, or has only just come."""
        others = [other for other in self._people if other is not person]
        news = time.monotonic() - NEWS
        special = [other for other in others if not other.connected or other.connected_at > news]
        return self._rng.choice(special if special and self._rng.random() < 0.7 else others)

    def _do(self, affair: Coroutine[Any, Any, None]) -> None:
        self._under_way.add(asyncio.create_task(affair))

    async def _look(self, person: Person, peer: Person) -> None:
        request, web, record = next(self._crowd.web.request_numbers), self._crowd.web, self._crowd.history.record
        told = {"mobile": person.mobile, "peer": peer.mobile, "request": request}
        record("presence request", **told)
        reply = await web.request("GET", "/profile/lastseen", person.token, params={"mobileNo": peer.mobile})
        data = reply.body.get("data") or {}
        seen = str(data.get("lastSeen", ""))
        record("presence response", **told, status=reply.status, presence=seen, seconds=round(reply.seconds, 3))

    async def _block_for_a_while(self, place: int) -> None:
        """An unanswered change may be made at any later time, so nothing further is changed after one."""
        blocker, blocked = self._people[place], self._people[(place + 1) % len(self._people)]
        self.blocked.add((blocker.mobile, blocked.mobile))
        sure = await self._change("block", blocker, blocked)
        if sure:
            await self._wait(self._rng.uniform(0.1, self._rng.choice(BLOCK_SECONDS)))
            sure = await self._change("unblock", blocker, blocked)
        if sure:
            self._blocking.discard(place)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()

    async def _change(self, what: str, mobile: Person, peer: Person) -> bool:
        """Until it is done. Whether every attempt was answered."""
        how: dict[str, Any] = {"json": {"blockedUserMobileNo": peer.mobile}}
        method, path = "POST", "/block-action/block"
        if what == "unblock":
            how, method, path = {"params": {"mobileNo": peer.mobile}}, "DELETE", "/block-action/unblock"
        status, sure = -1, True
        while status != 200:
            told = {"mobile": mobile.mobile, "peer": peer.mobile, "request": next(self._crowd.web.request_numbers)}
            self._crowd.history.record(f"{what} request", **told)
            reply = await self._crowd.web.request(method, path, mobile.token, **how)
            status, sure = reply.status, sure and reply.status != 0
            seconds = round(reply.seconds, 3)
            self._crowd.history.record(f"{what} response", **told, status=status, seconds=seconds)
            if status != 200:
                await asyncio.sleep(self._rng.uniform(0.1, 1))
        return sure
