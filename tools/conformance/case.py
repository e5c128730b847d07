"""What a case has: a scripted server, an agent with a client, and short ways to the usual beginnings."""

import asyncio
import contextlib
import inspect
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.conformance.accounts import ME, PASSWORD
from tools.conformance.agents import NOTHING, Agent, Pool
from tools.conformance.server import Server
from tools.conformance.waiting import Changes
from tools.conformance.wire import Frame, Socket

ASHA: Final = ME
RAVI: Final = "919800000002"
EVE: Final = "919800000003"
CONNECTING_SECONDS: Final = 2.0
"""So long, in real time, a client may take to be connected or refused by a server that answers."""
DEBUG: Final = bool(os.environ.get("CONFORMANCE_DEBUG"))
"""Show what the agent logged and told when a case fails."""
RULES: Final = tuple(f"C{number}" for number in range(1, 41))
"""The rules of docs/clients.md."""


@dataclass
class Stage:
    """One run of one case against one client."""

    server: Server
    agent: Agent
    changes: Changes
    folder: Path
    pool: Pool
    others: list[Agent]

    def file_store(self, name: str = "store") -> dict[str, str]:
        """A store in a file of this run: it outlives the agent."""
        return {"kind": "file", "path": str(self.folder / name)}

    async def open(self, agent: Agent | None = None, **options: Any) -> None:
        """Build the client: with a number and a password, a store in memory, and no handler."""
        given: dict[str, Any] = {"url": self.server.url, "mobileNo": ME, "password": PASSWORD, "deviceId": "device-1"}
        given |= {"store": {"kind": "memory", "name": "main"}, "handler": None, **options}
        await (agent or self.agent).do("open", **given)

    async def start(self, agent: Agent | None = None) -> None:
        """The client begins to connect."""
        await (agent or self.agent).do("start")

    async def second_client(self, **options: Any) -> None:
        """Another client in the same process; its name in events is ``second``."""
        await self.open(client="second", **options)
        await self.agent.do("start", client="second")

    async def online(self, **options: Any) -> Socket:
        """A client that is online, and the server's side of its socket."""
        await self.open(**options)
        await self.start()
        socket = await self.server.socket()
        await self.agent.expect("state", name="online")
        return socket

    async def another_agent(self) -> Agent:
        """A second process."""
        agent = await self.pool.take(self.changes)
        self.others.append(agent)
        return agent

    async def next_socket(self, seconds: float = 40.0) -> Socket:
        """The client connects again, after the pauses that it makes.

        :raises AssertionError: it does not within so many seconds of its clock
        """
        left = seconds
        while not self.server.unasked and left > NOTHING:
            left -= await self.agent.advance(left, until=lambda: self.server.unasked > 0 or self._is_connecting)
            left -= await self._let_it_connect(left)
        socket = await self.server.socket()
        await self.changes.until(
            lambda: not self.server.says_hello or self.state["name"] == "online",
            lambda: f"online; the state is {self.state}",
        )
        return socket

    @property
    def _is_connecting(self) -> bool:
        return bool(self.state["name"] == "connecting")

    async def _let_it_connect(self, most: float) -> float:
        """While requests are on their way the clock stands, or they would seem to take long. How far it moved."""

        def is_decided() -> bool:
            return self.server.unasked > 0 or not self._is_connecting

        try:
            await self.changes.until(is_decided, seconds=CONNECTING_SECONDS)
        except AssertionError:  # a request without an answer: the client will give it up
            return await self.agent.advance(most, until=is_decided)
        return 0.0

    @property
    def state(self) -> dict[str, Any]:
        """The state of the connection that was told last."""
        told = self.agent.told("state")
        return told[-1] if told else {"name": "off"}

    async def in_state(self, name: str) -> dict[str, Any]:
        """Wait until the connection is in this state.

        :raises AssertionError: it does not come there
        """
        await self.changes.until(lambda: self.state["name"] == name, lambda: f"the state {name}; it is {self.state}")
        return self.state

    async def never_again(self, seconds: float = 600.0) -> None:
        """No socket is opened, and no ticket asked for, however long it takes."""
        before = len(self.server.requests)
        await self.agent.advance(seconds)
        await self.agent.quiet()
        asked = [request.route for request in self.server.requests[before:]]
        assert not asked, f"the client asked for {asked[:5]}"

    async def told(self, kind: str, count: int) -> list[dict[str, Any]]:
        """The first so many events of this name.

        :raises AssertionError: fewer are told
        """
        await self.changes.until(
            lambda: len(self.agent.told(kind)) >= count,
            lambda: f"{count} events {kind}; told: {self.agent.events[-4:]}",
        )
        return self.agent.told(kind)[:count]

    async def handed(self, count: int) -> list[str]:
        """The texts that were handed to the handler first, so many.

        :raises AssertionError: fewer are handed
        """
        return [each["text"] for each in await self.told("handling", count)]


_stream_ids = itertools.count(1)


def stream_id(number: int | None = None) -> str:
    """A streamId; without a number, one that is higher than all before."""
    return f"{1_795_000_000_000 + (next(_stream_ids) if number is None else number)}-0"


def chat(text: str, sender: str = RAVI, *, message_id: str | None = None, at: str | None = None) -> Frame:
    """A chat for the client.

    :param at: its streamId
    """
    at = at or stream_id()
    return {
        "type": "chat",
        "to": ASHA,
        "from": sender,
        "messageId": message_id or f"m-{at}",
        "message": text,
        "mode": "online",
        "timestamp": int(at.split("-")[0]),
        "streamId": at,
    }


def receipt(kind: str, *message_ids: str, sender: str = RAVI, at: str | None = None) -> Frame:
    """A receipt for chats of the client's own."""
    at = at or stream_id()
    ids = list(message_ids)
    return {
        "type": "ack",
        "to": ASHA,
        "from": sender,
        "messageIds": ids,
        "ackType": kind,
        "timestamp": int(at.split("-")[0]),
        "streamId": at,
    }


@dataclass(frozen=True)
class Case:
    """One case of one rule."""

    rule: str
    what: str
    play: Callable[[Stage], Awaitable[None]]

    @property
    def name(self) -> str:
        """As it is asked for on the command line."""
        return self.play.__name__


CASES: Final[list[Case]] = []


def case(what: str) -> Callable[[Callable[[Stage], Awaitable[None]]], Callable[[Stage], Awaitable[None]]]:
    """Make a case of a function; the rule is in its name (``c15_…``).

    :param what: what the client does, in a few words, for the table
    """

    def add(play: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
        rule = play.__name__.split("_")[0].upper()
        assert rule in RULES, f"{play.__name__}: there is no rule {rule}"
        assert inspect.iscoroutinefunction(play)
        CASES.append(Case(rule, what, play))
        return play

    return add


@contextlib.asynccontextmanager
async def staged(pool: Pool) -> AsyncIterator[Stage]:
    """A stage for one case."""
    changes = Changes()
    with tempfile.TemporaryDirectory(prefix="wm-conformance-") as folder:
        async with Server(changes) as server:
            agent = await pool.take(changes)
            stage = Stage(server, agent, changes, Path(folder), pool, [])
            try:
                yield stage
            except BaseException:
                if DEBUG:
                    print(agent.stderr[-6000:], *agent.events[-20:], [each.route for each in server.requests], sep="\n")
                raise
            finally:
                for each in [agent, *stage.others]:
                    await pool.give_back(each)


async def play(case_: Case, pool: Pool, seconds: float) -> None:
    """Play one case.

    :raises AssertionError: the client breaks the rule
    :raises AgentError: the client raises what it should not
    """
    async with asyncio.timeout(seconds), staged(pool) as stage:
        await case_.play(stage)
