"""Those who talk: each with one to three devices; what they do besides, and what they ask by HTTP."""

import random
from collections.abc import Callable
from itertools import count, pairwise
from typing import Any, Final, Protocol

from tools.chaos import frames as wire
from tools.simulate.device import Device, Manners
from tools.simulate.device import World as DeviceWorld
from tools.simulate.server import Server
from tools.simulate.shell import Place
from tools.simulate.storage import Account, Storage

FRIENDS: Final = 6
WAITING: Final = 20
"""Chats one device may have unsent."""
HTTP_LATENCY: Final = (0.002, 0.02)
HTTP_SECONDS: Final = 10.0
"""So long a client waits for an answer."""
AFFAIR_SECONDS: Final = 60.0
"""On average, between two things that one person does besides writing."""


_MOVES: Final[tuple[Callable[[Device, random.Random], None], ...]] = (
    lambda device, rng: device.leave(rng.choice((0.0, 1.0, 20.0, 120.0)), politely=True),
    lambda device, rng: device.leave(rng.choice((0.0, 1.0, 20.0, 120.0)), politely=False),
    lambda device, _: device.switch(),
    lambda device, rng: device.lose_signal(rng.uniform(1, 120), rng.choice((0.0, 5.0, 60.0))),
    lambda device, rng: device.look_away(rng.choice((1.0, 5.0, 20.0))),
    lambda device, _: device.repeat(),
)
"""What people do with a device, each as often."""


class World(DeviceWorld, Protocol):
    """What people need."""

    storage: Storage

    @property
    def database_is_away(self) -> bool: ...


class Person:
    """One mobile number."""

    def __init__(self, mobile: str, devices: list[Device]) -> None:
        self.mobile = mobile
        self.devices = devices
        self.friends: list[str] = []
        self.blocked: set[str] = set()
        """Who may be blocked, as far as this person knows."""
        self.ever_blocked: set[str] = set()
        """Those whose chats may have been withheld."""
        self.wishes: dict[str, bool] = {}
        """Blocks and unblocks that got no good answer yet: they are asked for again."""


class Population:
    """``often``: seconds between two chats of one person, on average."""

    def __init__(self, world: World, rng: random.Random, people: int, often: float, bursts: float) -> None:
        self._world, self._timeline, self._rng = world, world.timeline, rng
        self._often, self._bursts = often, bursts
        self._asks = count(1)
        self._is_talking = True
        self.mobiles = [str(9_100_000_000 + number) for number in range(people)]
        self.people = [Person(mobile, self._devices(mobile, n)) for n, mobile in enumerate(self.mobiles)]
        self._by_mobile = {person.mobile: person for person in self.people}
        self._befriend()

    def _devices(self, mobile: str, number: int) -> list[Device]:
        devices = []
        for n, name in enumerate(("primary", "tablet", "desk")[: 1 + (number % 3 == 0) + (number % 6 == 0)]):
            manners = Manners(
                pipelined=(1, 1, 8, 100)[self._rng.randrange(4)],
                hasty=self._rng.random() < 0.2,
                lazy=(0.0, 0.0, 1.0, 8.0, 40.0)[self._rng.randrange(5)],
                liar=self._rng.random() < 0.2,
            )
            dialect = wire.SEED if (number + n) % 2 else wire.V1
            devices.append(Device(self._world, Place(mobile, name, dialect), manners, self._rng, self.mobiles))
        return devices

    def _befriend(self) -> None:
        for person in self.people:
            others = [mobile for mobile in self.mobiles if mobile != person.mobile]
            person.friends = self._rng.sample(others, min(FRIENDS, len(others)))
        for one, other in pairwise(self.people):
            one.friends[-1], other.friends[0] = other.mobile, one.mobile

    @property
    def devices(self) -> list[Device]:
        """Everybody's."""
        return [device for person in self.people for device in person.devices]

    # ---- acts

    def begin(self) -> None:
        """Everybody logs in, connects and begins to talk."""
        for person in self.people:
            for device in person.devices:
                # A second device may come much later.
                late = 0.0 if device is person.devices[0] else self._rng.choice((0.0, 60.0))
                self._timeline.after(self._rng.uniform(0, 2) + late, device.begin)
            self._timeline.after(2 + self._rng.expovariate(1 / self._often), self._talk, person)
            self._timeline.after(2 + self._rng.expovariate(1 / AFFAIR_SECONDS), self._do_something, person)

    def wind_up(self) -> None:
        """Nothing new, and everybody comes back."""
        self._is_talking = False
        for device in self.devices:
            device.come_back()

    def end(self) -> None:
        """Everybody leaves."""
        for device in self.devices:
            device.end()

    @property
    def is_busy(self) -> bool:
        """Whether somebody has no connection, or waits for an answer."""
        return any(person.wishes for person in self.people) or not all(device.is_connected for device in self.devices)

    @property
    def unanswered(self) -> int:
        """Chats without an answer."""
        return sum(len(device.outbox) for device in self.devices)

    @property
    def unreceipted(self) -> int:
        """Chats that were sent, and whose receipt a block does not withhold."""
        return sum(len(self.unreceipted_of(device)) for device in self.devices)

    def unreceipted_of(self, device: Device) -> list[tuple[str, str]]:
        """The same of one device."""
        return [chat for chat in device.awaiting if device.mobile not in self._by_mobile[chat[0]].ever_blocked]

    # ---- what people do

    def _talk(self, person: Person) -> None:
        if not self._is_talking:
            return
        device, whom = self._rng.choice(person.devices), self._rng.choice(person.friends)
        for _ in range(self._rng.randint(4, 40) if self._rng.random() < self._bursts else 1):
            if len(device.outbox) < WAITING:
                device.write(whom, f"{self._rng.getrandbits(32):x} " * self._rng.choice((1, 1, 1, 30)) + "\u00e9")
        self._timeline.after(self._rng.expovariate(1 / self._often), self._talk, person)

    def _do_something(self, person: Person) -> None:
        if not self._is_talking:
            return
        number = self._rng.randrange(10)
        if number < len(_MOVES):
            _MOVES[number](self._rng.choice(person.devices), self._rng)
        elif number == len(_MOVES):
            self._block(person, self._rng.choice(person.friends), wanted=True)
        elif number == len(_MOVES) + 1:
            if person.blocked:
                self._block(person, self._rng.choice(sorted(person.blocked)), wanted=False)
        else:
            self._look_up(person, self._rng.choice(person.friends))
        self._timeline.after(self._rng.expovariate(1 / AFFAIR_SECONDS), self._do_something, person)

    # ---- HTTP

    def _ask(self, run: Callable[[Server, Callable[[int, str], None]], None], done: Callable[[int, str], None]) -> None:
        """``run`` on a server, which answers with a status and a word; 0: nobody did."""
        server, is_over = self._world.pick_server(), False

        def answered(status: int, word: str = "") -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                done(status, word)

        def answer(status: int, word: str = "") -> None:
            self._timeline.after(self._rng.uniform(*HTTP_LATENCY), answered, status, word)

        if server is None:
            answer(0)
            return
        self._timeline.after(HTTP_SECONDS, answered, 0)
        self._timeline.after(self._rng.uniform(*HTTP_LATENCY), server.call, run, server, answer)

    def _block(self, person: Person, whom: str, *, wanted: bool) -> None:
        """Until it is answered well."""
        if whom not in person.wishes:
            person.wishes[whom] = wanted
            self._try_to_block(person, whom, wanted=wanted)

    def _try_to_block(self, person: Person, whom: str, *, wanted: bool) -> None:
        """PostgreSQL first, then Redis."""
        what, began, told = (
            "block" if wanted else "unblock",
            self._timeline.now,
            {"mobile": person.mobile, "peer": whom},
        )
        ask = next(self._asks)
        if wanted:
            person.blocked.add(whom)
            person.ever_blocked.add(whom)
        self._world.note(f"{what} request", **told, request=ask)

        def run(server: Server, answer: Callable[[int, str], None]) -> None:
            if self._world.database_is_away:
                answer(503, "")
                return
            account = self._world.storage.accounts[person.mobile]
            account.blocked = sorted({*account.blocked, whom} if wanted else {*account.blocked} - {whom})
            account.version += 1
            row = Account(account.id, account.version, list(account.blocked))
            storage = self._world.storage
            server.link.send(lambda: storage.load(person.mobile, row), lambda error: answer(503 if error else 200, ""))

        def done(status: int, _word: str) -> None:
            self._world.note(
                f"{what} response", **told, request=ask, status=status, seconds=round(self._timeline.now - began, 3)
            )
            if status != 200:
                self._timeline.after(1.0, lambda: self._try_to_block(person, whom, wanted=wanted))
                return
            del person.wishes[whom]
            if not wanted:
                person.blocked.discard(whom)

        self._ask(run, done)

    def _look_up(self, person: Person, whom: str) -> None:
        began, told = self._timeline.now, {"mobile": person.mobile, "peer": whom}
        ask = next(self._asks)
        self._world.note("presence request", **told, request=ask)

        def run(server: Server, answer: Callable[[int, str], None]) -> None:
            def reply(result: Any) -> None:
                if isinstance(result, Exception):
                    answer(503, "")
                else:
                    answer(200, "" if result is None else str(result))

            server.presence(whom, person.mobile, reply)

        def done(status: int, word: str) -> None:
            seconds = round(self._timeline.now - began, 3)
            self._world.note("presence response", **told, request=ask, status=status, presence=word, seconds=seconds)

        self._ask(run, done)
