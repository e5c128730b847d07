"""Fifty clients that chat, read, block, look each other up, log out and come back, while things break."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from tools.chaos.activities import OUTBOX_CHATS, Activities
from tools.chaos.client import Client
from tools.chaos.client_state import Behaviour
from tools.chaos.frames import SEED, V1
from tools.chaos.history import History
from tools.chaos.real_clients import RealClient, RealClients
from tools.chaos.shared import Shared

STEP_SECONDS: Final = 0.02
TICK_SECONDS: Final = 0.25
PEERS: Final = 6
"""The people that one client writes to."""
MOST_UNSENT: Final = 20
"""A client with so many unanswered chats writes no more: while nothing gets through, people do not write for ever."""
SIGN_UPS_AT_ONCE: Final = 8
SECOND_DEVICES: Final = 6
"""One person in so many has a second device."""
COPIES_SECONDS: Final = 1.5
QUIET_SECONDS: Final = 5.0
"""When storage lost something and nothing arrives for so long, nothing more is expected."""


class Workload:
    """Clients on real sockets, half of them in each dialect.

    A client repeats a messageId until it is answered. ``drain`` needs more time than the servers take to send an
    entry again (REDELIVER_SECONDS) and to notice a lost lease (PING_SECONDS).

    :param history: gets every event; it stays open
    :param addresses: HTTP base URLs of the server groups
    :param rate: chats a second of all clients together
    :param rates: of activities, where they differ from ``activities.RATES``
    :param clients: names of real clients, which some more people use
    """

    def __init__(
        self,
        history: History,
        addresses: Sequence[str],
        *,
        people: int = 50,
        rate: float = 200.0,
        seed: int = 0,
        rates: Mapping[str, float] | None = None,
        clients: Sequence[str] = (),
    ) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - a seed that can be repeated
        self._history, self._rate = history, rate
        self._shared = Shared(history, addresses, self._rng)
        self._people = [
            Client(self._shared.new_mobile(), self._shared, _behaviour(n), self._rng) for n in range(people)
        ]
        self._second = {n: Client("", self._shared, SECOND_DEVICE, self._rng) for n in range(0, people, SECOND_DEVICES)}
        self.clients = [*self._people, *self._second.values()]
        self.real = RealClients(clients, self._shared, self._rng)
        self._peers: dict[str, list[str]] = {}
        self._activities = Activities(self._shared, self.clients, self._rng, rates or {})
        self._tasks: list[asyncio.Task[None]] = []
        self._chats_due = 0.0

    @property
    def _everybody(self) -> list[Client | RealClient]:
        return [*self.clients, *self.real.all]

    @property
    def addresses(self) -> list[str]:
        """Where clients connect from now on."""
        return self._shared.addresses

    @addresses.setter
    def addresses(self, addresses: Sequence[str]) -> None:
        self._shared.addresses = list(addresses)

    # ---- the four phases

    async def start(self) -> None:
        """Every client signs up, logs in and connects."""
        semaphore = asyncio.Semaphore(SIGN_UPS_AT_ONCE)

        async def enter(client: Client) -> None:
            async with semaphore:
                await client.sign_up()
                await client.log_in()

        await asyncio.gather(*map(enter, self._people), *(person.sign_up() for person in self.real.all))
        for n, second in self._second.items():
            second.state.mobile = self._people[n].mobile
            await second.log_in()
        self._shared.mobiles = [
            *(client.mobile for client in self._people),
            *(person.mobile for person in self.real.all),
        ]
        self._choose_peers()
        for client in self.clients:
            client.state.watched = self._peers[client.mobile]
        await self.real.begin()
        self._tasks = [asyncio.create_task(client.run_forever()) for client in self.clients]
        self._tasks.append(asyncio.create_task(self._tick()))
        while not self._all_connected():
            self._check_tasks()
            await asyncio.sleep(STEP_SECONDS)

    async def run(self, seconds: float) -> None:
        """Chats at the given rate, and all activities."""
        last = time.monotonic()
        end = last + seconds
        while (now := time.monotonic()) < end:
            self._chats_due += (now - last) * self._rate
            while self._chats_due >= 1:
                self._chats_due -= 1
                self._write_chat()
            self._activities.advance(now - last)
            self.real.advance(now - last)
            self._check_tasks()
            last = now
            await asyncio.sleep(STEP_SECONDS)

    async def drain(self, seconds: float) -> bool:
        """Start nothing new; wait until every client is connected and every chat answered, delivered and receipted.

        Chats that a block may have withheld are not waited for. After a notification that storage lost something, what
        does not arrive is not waited for either.
        """
        end = time.monotonic() + seconds
        self._activities.finish_early()
        for person in self._everybody:
            person.come_back()
        while not (done := await self._is_drained()) and time.monotonic() < end:
            self._check_tasks()
            await asyncio.sleep(5 * STEP_SECONDS)
        for client in self.clients:
            self._history.record("outage", mobile=client.mobile, seconds=round(client.state.longest_outage, 3))
        self._history.record("drained", ok=done, waiting=self._waiting())
        return done

    async def stop(self) -> None:
        """Close everything."""
        await self._activities.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.real.stop()
        await self._shared.http.close()

    def counts(self) -> dict[str, int]:
        """Chats so far: begun, acknowledged, delivered, receipts."""
        return {name: self._shared.counts[name] for name in ("begun", "acknowledged", "delivered", "receipts")}

    # ----

    def _choose_peers(self) -> None:
        """Every client writes to the same few others: conversations go on for the whole run."""
        mobiles = self._shared.mobiles
        for mobile in mobiles:
            others = [other for other in mobiles if other != mobile]
            self._peers[mobile] = self._rng.sample(others, min(PEERS, len(others)))
        for one, other in pairwise(mobiles):  # some conversations go both ways
            self._peers[one][-1], self._peers[other][0] = other, one

    def _write_chat(self) -> None:
        client: Client | RealClient = self._rng.choice(self._everybody)
        unsent = client.pending if isinstance(client, RealClient) else client.outbox
        if len(unsent) < MOST_UNSENT:
            text = f"{self._rng.getrandbits(64):x} " * self._rng.randint(1, 12)
            client.write(self._rng.choice(self._peers[client.mobile]), text + "\u00e9\U0001f680")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            for client in self.clients:
                client.tick(now)

    def _check_tasks(self) -> None:
        """An exception in a client is a bug of this tool, and ends the run."""
        for task in self._tasks:
            if task.done():
                task.result()
        self._activities.check_tasks()
        self.real.check()

    def _all_connected(self) -> bool:
        return all(person.connected for person in self._everybody)

    def _waiting(self) -> int:
        """Chats without an answer, and chats with ``sent`` and without a receipt that no block may have withheld."""
        unanswered = sum(len(client.outbox) for client in self.clients)
        unanswered += sum(len(person.pending) + len(person.awaiting) for person in self.real.all)
        return unanswered + sum(
            (peer, client.mobile) not in self._activities.blocked
            for client in self.clients
            for peer, _ in client.state.awaiting
        )

    async def _is_drained(self) -> bool:
        if not self._all_connected() or self._activities.busy or self.real.busy:
            return False
        if self._waiting() == 0:
            # What was sent has its copies by now; they come to devices that are connected within a ping.
            await asyncio.sleep(COPIES_SECONDS)
            return self._all_connected() and self._waiting() == 0
        unsent = [*(len(client.outbox) for client in self.clients), *(len(each.pending) for each in self.real.all)]
        if not self._shared.storage_lost or any(unsent):
            return False
        before = self.counts()
        await asyncio.sleep(QUIET_SECONDS)
        return before == self.counts()


SECOND_DEVICE: Final = Behaviour(V1, "tablet")


def _behaviour(n: int) -> Behaviour:
    """Of the ``n``-th client."""
    return Behaviour(
        dialect=SEED if n % 2 else V1,
        pipelined=OUTBOX_CHATS if n % 10 == 9 else 8 if n % 5 == 4 else 1,
        sends_before_hello=n % 10 == 9,
        ack_delay=1.0 if n % 7 == 3 else 0.0,
        forges=n % 4 == 1,
    )
