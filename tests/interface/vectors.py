"""Plays the test vectors of ``docs/vectors`` (its README says what they look like) against a running server."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import websockets
from websockets.asyncio.client import ClientConnection

from protocol.described_frames import DIALECTS
from protocol.dialects import SUBPROTOCOL
from tests.support.people import Person, on_device, request, sign_up
from tests.support.stack import ServerGroup

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "vectors"
SECONDS: Final = 10.0
STREAM_ID: Final = re.compile(r"[0-9]+-[0-9]+\Z")
PERSON: Final = re.compile(r"\$(asha|ravi|eve)(\.name)?")
PEOPLE: Final = ("asha", "ravi", "eve")
STEPS: Final = frozenset({
    "client", "connects", "sends", "sendsText", "sendsBytes", "gets", "inAnyOrder", "closes", "disconnects", "times",
    "blocks", "unblocks", "logsOut", "happens", "only", "comment", "requests",
})  # fmt: skip


@dataclass(frozen=True)
class Vector:
    """One vector.

    :param connected: the clients that are connected when the steps begin
    :param people: others who have an account
    :param settings: of the server, by their names in the environment
    """

    name: str
    steps: list[dict[str, Any]]
    about: str = ""
    dialects: tuple[str, ...] = DIALECTS
    connected: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)

    def happens(self) -> list[str]:
        """What happens to the server."""
        return [step["happens"] for step in self.steps if "happens" in step]

    def frames(self, dialect: str, key: str) -> Iterator[Any]:
        """All frames that are sent (``key`` is ``sends``), or got (``gets``), with their placeholders."""
        for step in self.steps:
            if step.get("only", dialect) == dialect and key in step:
                yield from of_dialect(step[key], dialect)


def load() -> list[Vector]:
    """All vectors, of all files.

    :raises AssertionError: a step says what no step can say
    """
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        for each in json.loads(path.read_text(encoding="utf-8"))["vectors"]:
            vector = Vector(**each | {"name": f"{path.stem}: {each['name']}"})
            assert all(step.keys() <= STEPS for step in vector.steps), vector.name
            found.append(vector)
    return found


def of_dialect(said: Any, dialect: str) -> list[Any]:
    """The frames of a step: one, a list, or a list for each dialect."""
    if isinstance(said, dict) and said.keys() <= set(DIALECTS):
        said = said.get(dialect, [])
    return said if isinstance(said, list) else [said]


# ---- placeholders


class Names:
    """What the placeholders of one vector stand for."""

    def __init__(self, people: dict[str, Person]) -> None:
        self._people = people
        self._captured: dict[str, Any] = {}

    def filled(self, said: Any, i: int = 1) -> Any:
        """With values in place of the placeholders."""
        if isinstance(said, list):
            return [self.filled(each, i) for each in said]
        if isinstance(said, dict):
            if "$repeat" in said:
                return said["$repeat"] * said["count"]
            return {key: self.filled(each, i) for key, each in said.items()}
        if not isinstance(said, str) or "$" not in said:
            return said
        if said in self._captured:
            return self._captured[said]
        text = PERSON.sub(self._person, said.replace("$i", str(i)))
        return self._captured.get(text, text)

    def differences(self, wanted: Any, came: Any, i: int = 1, where: str = "") -> list[str]:
        """Where what came is not what was wanted. Placeholders that stand for anything are captured by their names."""
        if isinstance(wanted, dict) and "$repeat" not in wanted:
            if not isinstance(came, dict) or wanted.keys() != came.keys():
                return [f"{where}: wanted {wanted}, got {came}"]
            return [each for key in wanted for each in self.differences(wanted[key], came[key], i, f"{where}.{key}")]
        if isinstance(wanted, list):
            if not isinstance(came, list) or len(wanted) != len(came):
                return [f"{where}: wanted {wanted}, got {came}"]
            return [
                each for pair in zip(wanted, came, strict=True) for each in self.differences(*pair, i, f"{where}[]")
            ]
        if isinstance(wanted, str) and (kind := wanted.split(":")[0]) in _KINDS:
            name = wanted.replace("$i", str(i))
            known = self._captured.setdefault(name, came) if ":" in wanted else came
            return [] if _KINDS[kind](came) and known == came else [f"{where}: wanted {wanted} ({known}), got {came}"]
        return [] if self.filled(wanted, i) == came else [f"{where}: wanted {self.filled(wanted, i)}, got {came}"]

    def _person(self, match: re.Match[str]) -> str:
        person = self._people[match[1]]
        return person.name if match[2] else person.mobile


_KINDS: Final[dict[str, Callable[[Any], bool]]] = {
    "$time": lambda value: type(value) is int and value > 0,
    "$number": lambda value: type(value) in (int, float),
    "$string": lambda value: isinstance(value, str) and bool(value),
    "$stream": lambda value: isinstance(value, str) and STREAM_ID.match(value) is not None,
}


_EXAMPLES: Final = {"$time": 1795502489474, "$number": 1, "$string": "text", "$stream": "1795502489474-0"}


def example_of(frame: Any) -> Any:
    """The frame with some value in place of each placeholder."""
    people = {name: Person(f"91980000000{number}", "", name) for number, name in enumerate(PEOPLE)}
    return _exemplary(Names(people).filled(frame))


def _exemplary(said: Any) -> Any:
    if isinstance(said, dict):
        return {key: _exemplary(each) for key, each in said.items()}
    if isinstance(said, list):
        return [_exemplary(each) for each in said]
    return _EXAMPLES.get(said.split(":")[0], said) if isinstance(said, str) else said


# ---- playing


class Client:
    """One socket, frame by frame."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._came: list[Any] = []

    async def next(self) -> Any:
        """The next frame."""
        while not self._came:
            said = json.loads(await asyncio.wait_for(self.socket.recv(), SECONDS))
            self._came += said if isinstance(said, list) else [said]
        return self._came.pop(0)


class Player:
    """Plays one vector in one dialect.

    :param happen: does to the server what a vector says that happens to it
    """

    def __init__(self, group: ServerGroup, dialect: str, happen: Callable[[str, Names], Awaitable[None]]) -> None:
        self._group = group
        self._dialect = dialect
        self._happen = happen
        self._people: dict[str, Person] = {}
        self._clients: dict[str, Client] = {}
        self._names = Names(self._people)

    async def play(self, vector: Vector, people_come_to: str) -> None:
        """
        :param people_come_to: the address where people sign up and log in
        :raises AssertionError: the server answers otherwise than the vector says
        """
        self._url = people_come_to
        text = json.dumps([vector.steps, vector.connected, vector.people])
        for name in PEOPLE:
            if name not in text:
                continue
            self._people[name] = await sign_up(people_come_to, name.capitalize())
        try:
            for name in vector.connected:
                await self._connect(name)
                await self._greeted(name)
            for number, step in enumerate(vector.steps):
                if step.get("only", self._dialect) == self._dialect:
                    await self._play_step(step, f"step {number}")
            await self._nothing_else_comes()
        finally:
            for client in self._clients.values():
                await client.socket.close()

    async def _play_step(self, step: dict[str, Any], where: str) -> None:
        name, times = step.get("client", ""), step.get("times", 1)
        if "connects" in step:
            await self._connect(name)
        for i in range(1, times + 1):
            await self._send(step, i)
        await self._ask(name, step)
        if "disconnects" in step:
            await self._clients.pop(name).socket.close()
        if "happens" in step:
            await self._happen(step["happens"], self._names)
        if "gets" in step:
            wanted = [(each, i) for i in range(1, times + 1) for each in of_dialect(step["gets"], self._dialect)]
            await self._get(name, wanted, where, in_any_order=step.get("inAnyOrder", False))
        if "closes" in step:
            await asyncio.wait_for(self._clients[name].socket.wait_closed(), 3 * SECONDS)
            assert self._clients.pop(name).socket.close_code == step["closes"], where

    async def _connect(self, name: str) -> None:
        owner, _, device = name.partition("/")
        if name not in self._people:
            self._people[name] = await on_device(self._url, self._people[owner], device)
        subprotocols = [websockets.Subprotocol(SUBPROTOCOL)] if self._dialect == SUBPROTOCOL else None
        url = f"{self._group.ws_url}/?token={self._people[name].token}"
        socket = await websockets.connect(url, subprotocols=subprotocols, max_size=2**20)
        if name in self._clients:
            self._clients[f"{name} before"] = self._clients[name]
        self._clients[name] = Client(socket)

    async def _greeted(self, name: str) -> None:
        """Read what comes first, when nothing waits."""
        assert (await self._clients[name].next())["type"] in ("hello", "system")
        if self._dialect == SUBPROTOCOL:
            assert (await self._clients[name].next()) == {"type": "synced", "count": 0}

    async def _send(self, step: dict[str, Any], i: int) -> None:
        if "sends" in step:
            # A list in a vector is an array on the wire.
            await self._clients[step["client"]].socket.send(json.dumps(self._names.filled(step["sends"], i)))
        if "sendsText" in step:
            await self._clients[step["client"]].socket.send(self._names.filled(step["sendsText"], i))
        if "sendsBytes" in step:
            await self._clients[step["client"]].socket.send(bytes.fromhex(step["sendsBytes"]))

    async def _get(self, name: str, wanted: list[tuple[Any, int]], where: str, *, in_any_order: bool) -> None:
        client = self._clients[name]
        came = []
        for frame, _ in wanted:
            try:
                came.append(await client.next())
            except (TimeoutError, websockets.ConnectionClosed) as error:
                raise AssertionError(f"{where}: {name} waits for {frame}; before it came {came}") from error
        if in_any_order:
            order = [(each["type"], str(each.get("messageId", ""))) for each, _ in wanted]
            came.sort(key=lambda frame: order.index((frame["type"], str(frame.get("messageId", "")))))
        for (frame, i), got in zip(wanted, came, strict=True):
            assert self._names.differences(frame, got, i) == [], f"{where}, {name}"

    async def _ask(self, name: str, step: dict[str, Any]) -> None:
        """What the person does over HTTP."""
        asked: list[dict[str, Any]] = [step["requests"]] if "requests" in step else []
        if "blocks" in step:
            body = {"blockedUserMobileNo": f"${step['blocks']}"}
            asked.append({"method": "POST", "path": "/block-action/block", "body": body})
        if "unblocks" in step:
            asked.append({"method": "DELETE", "path": f"/block-action/unblock?mobileNo=${step['unblocks']}"})
        if "logsOut" in step:
            asked.append({"method": "POST", "path": "/auth/logout"})
        for each in map(self._names.filled, asked):
            how = {"json": each["body"]} if "body" in each else {}
            answer = await request(self._url, self._people[name], each["method"], each["path"], **how)
            answer.raise_for_status()

    async def _nothing_else_comes(self) -> None:
        """A pong comes behind everything that was sent before it."""
        for name, client in self._clients.items():
            await client.socket.send('{"type":"ping"}')
            assert await client.next() == {"type": "pong"}, f"{name} got what the vector does not say"
