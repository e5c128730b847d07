"""A conversation of the original's clients, replayed: what ours answers otherwise is named, and nothing else is.

The steps, the original's answers and the reasons for each difference are in ``original_client.json``.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from tests.support.people import Person, new_mobile, request, sign_up
from tests.support.stack import ServerGroup

Said = dict[str, Any]
GOLDEN = json.loads(Path(__file__).with_name("original_client.json").read_text(encoding="utf-8"))
STEP_SECONDS = 15.0
QUIET_SECONDS = 0.15
NAMED_SINCE = frozenset({"to", "messageId", "messageIds", "streamIds"})
"""What a refusal repeats of the frame it refuses; a golden error that does not say it allows it."""


@dataclass
class Client:
    """One connection, and what came over it since the last step."""

    socket: ClientConnection
    received: list[Said] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in self.socket:
                self.received.append(json.loads(message))
        self.received.append({"closed": self.socket.close_code})


class Replay:
    """Everybody in the conversation."""

    def __init__(self, group: ServerGroup, asha: Person, ravi: Person) -> None:
        self._group, self._people = group, {"asha": asha, "ravi": ravi}
        self._clients: dict[str, Client] = {}
        self._received: dict[str, list[Said]] = {}
        self._streams: dict[str, str] = {}
        self._values = {"<asha>": asha.mobile, "<ravi>": ravi.mobile, "<nobody>": new_mobile()}

    async def does(self, action: dict[str, Any]) -> None:
        """One action of somebody's."""
        who, what = action["who"], action.get("does")
        if action.get("says"):
            said = action["says"]
            await self._sock(who).send(said if isinstance(said, str) else json.dumps(self._filled(said)))
        elif "says_binary" in action:
            await self._sock(who).send(action["says_binary"].encode())
        elif what in ("connects", "connects again"):
            await self._connect(who if what == "connects" else f"{who} again", action)
        elif what == "leaves":
            await self._leave(who)
        else:
            await self._block(who, what == "blocks", self._people[action["whom"]])

    async def comes(self, expected: dict[str, list[Said]]) -> dict[str, list[Said]]:
        """What everybody receives in a step, once it is as much as is expected and no more comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STEP_SECONDS):
                while any(len(self._all(who)) < len(frames) for who, frames in expected.items()):
                    await asyncio.sleep(0.01)
        for client in self._clients.values():
            if not client.task or not client.task.done():
                await asyncio.wait_for(await client.socket.ping(), STEP_SECONDS)
        await asyncio.sleep(QUIET_SECONDS)
        everybody = {**self._received, **{who: client.received for who, client in self._clients.items()}}
        found = {who: self._all(who) for who in everybody if self._all(who)}
        self.learn()
        self._received = {}
        for client in self._clients.values():
            client.received = []
        return {who: [self._shown(frame) for frame in frames] for who, frames in found.items()}

    def learn(self) -> None:
        """Take note of the streamIds of the chats that have come."""
        for who in {*self._received, *self._clients}:
            for frame in self._all(who):
                if frame.get("type") == "chat":
                    self._streams[frame["streamId"]] = f"<{frame['messageId']}>"

    async def end(self) -> None:
        """Everybody leaves."""
        for who in list(self._clients):
            await self._leave(who)

    def _all(self, who: str) -> list[Said]:
        return self._received.get(who, []) + (self._clients[who].received if who in self._clients else [])

    def _sock(self, who: str) -> ClientConnection:
        return self._clients[who].socket

    async def _connect(self, who: str, action: dict[str, Any]) -> None:
        person = self._people.get(who.removesuffix(" again"))
        token = person.token if person else action["token"]
        try:
            socket = await websockets.connect(f"{self._group.ws_url}{action.get('path', '/')}?token={token}")
        except websockets.InvalidStatus as refusal:
            self._received[who] = [{"refused": refusal.response.status_code}]
            return
        client = self._clients[who] = Client(socket)
        client.task = asyncio.create_task(client.listen())

    async def _leave(self, who: str) -> None:
        client = self._clients[who]
        await asyncio.wait_for(await client.socket.ping(), STEP_SECONDS) if client.socket.close_code is None else None
        await asyncio.sleep(QUIET_SECONDS)  # what was said a moment ago has its answer
        self._received[who] = self._all(who)
        del self._clients[who]
        await client.socket.close()
        if client.task:
            await client.task

    async def _block(self, who: str, block: bool, whom: Person) -> None:
        path = "/block-action/block" if block else "/block-action/unblock"
        how: dict[str, Any] = (
            {"json": {"blockedUserMobileNo": whom.mobile}} if block else {"params": {"mobileNo": whom.mobile}}
        )
        answer: httpx.Response = await request(
            self._group.url, self._people[who], "POST" if block else "DELETE", path, **how
        )
        answer.raise_for_status()

    def _filled(self, frame: Said) -> Said:
        """A frame of the golden file as it is sent: numbers and streamIds for what stands for them."""
        known = {**self._values, **{name: stream for stream, name in self._streams.items()}}
        return {key: known.get(value, value) if isinstance(value, str) else value for key, value in frame.items()}

    def _shown(self, frame: Said) -> Said:
        """A frame as the golden file would say it."""
        numbers = {number: name for name, number in self._values.items()}
        shown = {key: numbers.get(value, value) if isinstance(value, str) else value for key, value in frame.items()}
        if "streamId" in shown:
            shown["streamId"] = self._streams.get(shown["streamId"], "<own>")
        if isinstance(shown.get("timestamp"), int):
            shown["timestamp"] = "<time>"
        return shown


def same(expected: Said, found: Said) -> bool:
    """Whether a frame is as the golden file has it."""
    names = set(found) - (NAMED_SINCE if found.get("type") == "error" else frozenset()) | set(expected)
    return all(
        (isinstance(found.get(name), str) and found[name])
        if expected.get(name) == "<text>"
        else (name in expected) == (name in found) and expected.get(name) == found.get(name)
        for name in names
    )


def wrong(expected: dict[str, list[Said]], found: dict[str, list[Said]]) -> list[str]:
    """What was expected of whom and did not come so, in words."""
    words = []
    for who in sorted({*expected, *found}):
        wanted, received = expected.get(who, []), found.get(who, [])
        if len(wanted) != len(received) or not all(map(same, wanted, received)):
            words.append(f"{who}: expected {wanted}, received {received}")
    return words


async def test_a_conversation_of_the_originals_clients_differs_only_where_it_is_said_to(product: ServerGroup) -> None:
    asha, ravi = await sign_up(product.url), await sign_up(product.url, "Ravi")
    replay, differences = Replay(product, asha, ravi), []
    try:
        for number, step in enumerate(GOLDEN["steps"], start=1):
            expected = step.get("ours", step["original"])
            found: dict[str, list[Said]] = {}
            for action in step["does"]:
                await replay.does(action)
                if len(step["does"]) > 1:  # an ack of what has to come first
                    await until_said(replay, action)
            found = await replay.comes(expected)
            differences += [f"{number}. {step['step']}: {each}" for each in wrong(expected, found)]
    finally:
        await replay.end()
    assert not differences, "\n".join(differences)


async def until_said(replay: Replay, action: dict[str, Any]) -> None:
    """Wait until a chat has gone where it goes."""
    if action.get("says"):
        await asyncio.sleep(QUIET_SECONDS)
        replay.learn()


def test_each_difference_has_a_reason_and_each_reason_a_difference() -> None:
    named = {why for step in GOLDEN["steps"] for why in step.get("why", [])}
    assert named == set(GOLDEN["differences"])
    assert len(GOLDEN["steps"]) == 36
    for step in GOLDEN["steps"]:
        assert ("ours" in step) == ("why" in step)
        assert step.get("ours") != step["original"], step["step"]


@pytest.mark.parametrize(
    ("expected", "found", "alike"),
    [
        ({"type": "system", "message": "<text>"}, {"type": "system", "message": "stored"}, True),
        ({"type": "system", "message": "<text>"}, {"type": "system", "message": ""}, False),
        ({"type": "system", "message": "<text>"}, {"type": "system", "message": "x", "status": "sent"}, False),
        ({"type": "error", "code": "bad_frame"}, {"type": "error", "code": "bad_frame", "to": "1"}, True),
        ({"type": "error", "code": "bad_frame"}, {"type": "error", "code": "bad_frame", "extra": 1}, False),
        ({"type": "error", "messageId": "m"}, {"type": "error"}, False),
        ({"type": "chat", "messageId": "m"}, {"type": "chat", "messageId": "n"}, False),
    ],
)
def test_frames_are_compared_field_by_field(expected: Said, found: Said, alike: bool) -> None:
    assert bool(same(expected, found)) is alike
