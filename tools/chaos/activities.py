"""What clients do besides chatting: look up presence, block and unblock, log out, vanish, repeat chats."""

import asyncio
import contextlib
import random
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

from tools.chaos.client import Client
from tools.chaos.shared import Shared

RATES: Final = {
    **{"look_up": 8.0, "block": 0.4, "log_out": 0.2, "vanish": 0.4, "lose_signal": 0.2},
    **{"cut": 1.0, "switch": 0.5, "repeat": 1.0, "burst": 0.5, "outbox": 0.1},
    **{"refresh": 1.0, "reuse": 0.3, "end_session": 0.1, "hide": 0.4},
}
"""How often a second each happens among fifty clients. Among fewer it happens in proportion."""
BLOCKERS: Final = 10
"""One client in so many blocks one other now and then, always the same: so most pairs never have a block."""
BLOCK_SECONDS: Final = (3.0, 3.0, 10.0)
"""The longest time of a block: one of these. Some blocks outlast a fault."""
BURST_CHATS: Final = 6
"""Chats to one recipient at once."""
OUTBOX_CHATS: Final = 320
"""Chats in a full outbox: more than a server takes in hand from one connection."""
OUTBOX_CHARACTERS: Final = 2_500
"""Characters of each: together they are more than a server takes in hand, too."""
OUTBOX_RECIPIENTS: Final = 4
HIDE_SECONDS: Final = 3.0
"""The longest time for which somebody shows nobody that they are online."""
LONGEST_ABSENCE: Final = 12.0
"""Seconds. Where a lease is shorter, others must see that the client is offline."""
RECENT_SECONDS: Final = 0.5
"""A client that connected so lately is looked up more often."""


class Activities:
    """Starts activities at random times. ``blocked`` holds every (blocker, blocked) there ever was.

    :param rates: what differs from :data:`RATES`
    """

    def __init__(
        self, shared: Shared, clients: Sequence[Client], rng: random.Random, rates: Mapping[str, float]
    ) -> None:
        self._shared, self._clients, self._rng = shared, clients, rng
        self._rates = {**RATES, **rates}
        self._tasks: set[asyncio.Task[None]] = set()
        self._blocking: set[int] = set()
        self._hiding: set[str] = set()
        self._finishing = asyncio.Event()
        self.blocked: set[tuple[str, str]] = set()

    @property
    def busy(self) -> bool:
        """Whether an activity is not finished."""
        return bool(self._tasks)

    def advance(self, seconds: float) -> None:
        """Start what falls into so much time."""
        for name, rate in self._rates.items():
            if self._rng.random() < rate * seconds * len(self._clients) / 50:
                self._start(name)

    def check_tasks(self) -> None:
        """Raise the exception of an activity that failed."""
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.discard(task)
            task.result()

    def finish_early(self) -> None:
        """End what would go on for a while."""
        self._finishing.set()

    async def stop(self) -> None:
        """Cancel all activities."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, name: str) -> None:
        client = self._rng.choice(self._clients)
        match name:
            case "look_up":
                self._spawn(self._look_up(client, self._choose_to_look_up(client)))
            case "log_out" if client.connected:
                self._spawn(client.log_out())
            case "block":
                groups = max(1, len(self._clients) // BLOCKERS)
                index = self._rng.randrange(0, groups) * BLOCKERS % len(self._clients)
                if index not in self._blocking:
                    self._blocking.add(index)
                    self._spawn(self._block_for_a_while(index))
            case "burst":
                peer = self._rng.choice(self._others(client))
                for n in range(BURST_CHATS):
                    client.write(peer.mobile, f"{n} of {BURST_CHATS}")
            case "outbox" if client.connected and client.sends_before_hello:
                self._fill_outbox(client)
            case "repeat":
                client.state.repeat()
            case "refresh" | "reuse" | "end_session" | "hide":
                self._use_account(client, name)
            case _:
                self._leave(client, name)

    def _others(self, client: Client) -> list[Client]:
        """Clients of other people."""
        return [other for other in self._clients if other.mobile != client.mobile]

    def _use_account(self, client: Client, name: str) -> None:
        match name:
            case "hide" if client.mobile not in self._hiding:
                self._hiding.add(client.mobile)
                self._spawn(self._hide_for_a_while(client))
            case "refresh" if client.connected:
                self._spawn(client.refresh())
            case "reuse" if client.connected:
                self._spawn(client.reuse(self._wait))
            case "end_session" if client.connected:
                for other in self._clients:
                    if other.mobile == client.mobile and other is not client and other.connected:
                        self._spawn(client.log_out_from(other))

    def _fill_outbox(self, client: Client) -> None:
        client.vanish()
        index = self._clients.index(client)
        for n in range(OUTBOX_CHATS):
            peer = self._clients[(index + 1 + n % OUTBOX_RECIPIENTS) % len(self._clients)]
            if peer.mobile == client.mobile:
                continue
            client.write(peer.mobile, f"{n} of {OUTBOX_CHATS} ".ljust(OUTBOX_CHARACTERS, "."))

    def _leave(self, client: Client, name: str) -> None:
        match name:
            case "vanish":
                client.vanish(self._rng.choice((0.0, 0.0, self._rng.uniform(1, LONGEST_ABSENCE))))
            case "lose_signal":
                client.lose_signal(self._rng.uniform(1, LONGEST_ABSENCE))
            case "cut":
                client.cut()
            case "switch":
                client.switch()

    def _choose_to_look_up(self, client: Client) -> Client:
        """Another client, and rather one that is away or has just connected."""
        others = self._others(client)
        recent = time.monotonic() - RECENT_SECONDS
        special = [other for other in others if not other.connected or other.connected_at > recent]
        return self._rng.choice(special if special and self._rng.random() < 0.7 else others)

    def _spawn(self, activity: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(activity))

    async def _look_up(self, client: Client, peer: Client) -> None:
        http, record = self._shared.http, self._shared.history.record
        fields = {"mobile": client.mobile, "peer": peer.mobile, "request": next(http.numbers)}
        record("presence request", **fields)
        response = await http.request("GET", "/profile/lastseen", client.token, params={"mobileNo": peer.mobile})
        data = response.body.get("data") or {}
        presence, seconds = str(data.get("lastSeen", "")), round(response.seconds, 3)
        record("presence response", **fields, status=response.status, presence=presence, seconds=seconds)

    async def _block_for_a_while(self, index: int) -> None:
        """After a request without a response nothing further is changed: it may be executed at any later time."""
        blocker, blocked = self._clients[index], self._clients[(index + 1) % len(self._clients)]
        self.blocked.add((blocker.mobile, blocked.mobile))
        certain = await self._change("block", blocker, blocked)
        if certain:
            await self._wait(self._rng.uniform(0.1, self._rng.choice(BLOCK_SECONDS)))
            certain = await self._change("unblock", blocker, blocked)
        if certain:
            self._blocking.discard(index)

    async def _hide_for_a_while(self, client: Client) -> None:
        """After a request without a response nothing further is changed: it may be executed at any later time."""
        if await self._set_online(client, "hide", "nobody"):
            await self._wait(self._rng.uniform(0.1, HIDE_SECONDS))
            if await self._set_online(client, "show", "everyone"):
                self._hiding.discard(client.mobile)

    async def _set_online(self, client: Client, what: str, to: str) -> bool:
        """Try until it is done; whether every request got a response."""
        http, record = self._shared.http, self._shared.history.record
        status, certain = -1, True
        while status != 200:
            fields = {"mobile": client.mobile, "request": next(http.numbers)}
            record(f"{what} request", **fields)
            response = await http.request("PUT", "/v1/privacy", client.token, json={"online": to})
            status, certain = response.status, certain and response.status != 0
            record(f"{what} response", **fields, status=status, seconds=round(response.seconds, 3))
            if status != 200:
                await asyncio.sleep(self._rng.uniform(0.1, 1))
        return certain

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._finishing.wait()

    async def _change(self, what: str, blocker: Client, blocked: Client) -> bool:
        """Try until it is done; whether every request got a response."""
        options: dict[str, Any] = {"json": {"blockedUserMobileNo": blocked.mobile}}
        method, path = "POST", "/block-action/block"
        if what == "unblock":
            options, method, path = {"params": {"mobileNo": blocked.mobile}}, "DELETE", "/block-action/unblock"
        http, record = self._shared.http, self._shared.history.record
        status, certain = -1, True
        while status != 200:
            fields = {"mobile": blocker.mobile, "peer": blocked.mobile, "request": next(http.numbers)}
            record(f"{what} request", **fields)
            response = await http.request(method, path, blocker.token, **options)
            status, certain = response.status, certain and response.status != 0
            record(f"{what} response", **fields, status=status, seconds=round(response.seconds, 3))
            if status != 200:
                await asyncio.sleep(self._rng.uniform(0.1, 1))
        return certain
