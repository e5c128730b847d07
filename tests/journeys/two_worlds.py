"""Two worlds that a blocked asker must not be able to tell apart, and what the asker gets in each, to be compared.

In one world the target blocks the asker and goes on living. In the other one the target goes offline at that moment and
stays away. What the asker gets is compared byte for byte, after what must differ was replaced: numbers by whose they
are, times and ids of the server by what they are. Times of last seen are replaced by their order of appearance, so that
a last seen that moves is found.
"""

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import websockets

from tests.support.people import PASSWORD, Person, Talk, on_device, request, sign_up
from tests.support.stack import ServerGroup

QUIET_SECONDS = 0.15
"""For so long nothing more comes: a step is over."""
IGNORED_HEADERS = {"date", "content-length"}


@dataclass
class Talking(Talk):
    """A talk that keeps each message as it came."""

    raw: list[str] = field(default_factory=list)

    async def _read(self) -> None:
        try:
            while True:
                text = await self.socket.recv()
                assert isinstance(text, str)
                self.raw.append(text)
                said = json.loads(text)
                for frame in said if isinstance(said, list) else [said]:
                    self.frames.append(frame)
                    if self.ack:
                        await self._answer(frame)
                self._news.set()
        except websockets.ConnectionClosed:
            self.raw.append(f"closed {self.socket.close_code} {self.socket.close_reason}")

    async def quiet(self) -> None:
        """Until what was sent is answered, and what follows from it has come."""
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.send(type="ping")
        count = -1
        while count < len(self.raw):
            count = len(self.raw)
            await asyncio.sleep(QUIET_SECONDS)


async def connect(person: Person, group: ServerGroup, v1: bool, ack: bool = True) -> Talking:
    """As :meth:`Person.open`."""
    offered = [websockets.Subprotocol("wm.v1")] if v1 else None
    socket = await websockets.connect(f"{group.ws_url}/?token={person.token}", subprotocols=offered)
    talk = Talking(socket, v1, ack)
    talk.begin()
    await talk.wait(lambda f: f["type"] in ("hello", "system"))
    return talk


class World:
    """An asker, a target and a third person, who have written to each other; and all that the asker gets."""

    def __init__(self, group: ServerGroup, elsewhere: ServerGroup, *, v1: bool, blocks: bool) -> None:
        self.group, self.elsewhere, self.v1, self.blocks = group, elsewhere, v1, blocks
        self.answers: list[list[str]] = []
        """What the asker was answered over HTTP in each step."""
        self.frames: list[list[str]] = []
        """What came over the socket. On a busy machine a frame may come after its step."""
        self._moments: dict[int, str] = {}
        self._names: dict[str, str] = {}

    async def begin(self) -> None:
        """Before the moment in which the worlds part."""
        self.asker, self.target, self.third = [await sign_up(self.group.url, n) for n in ("Asha", "Ravi", "Eve")]
        self._names = {
            self.asker.mobile: "<asker>",
            self.target.mobile: "<target>",
            self.third.mobile: "<third>",
        }
        self.a = await connect(self.asker, self.group, self.v1)
        self.t: Talking | None = await connect(self.target, self.elsewhere, True, ack=False)
        self.e = await connect(self.third, self.elsewhere, True)
        for n in range(3):
            await self.a.chat(self.target, f"before-{n}")
            await self.a.chat(self.third, f"third-{n}")
        await self.t.wait_all(lambda f: f["type"] == "chat", 3)
        chats = {f["messageId"]: f["streamId"] for f in self.t.chats()}
        await self.t.send(type="ack", ackType="delivered", streamId=chats["before-0"])
        await self.t.send(type="ack", ackType="read", to=self.asker.mobile, messageId="before-1")
        await self.t.chat(self.asker, "from-target")
        await self.a.wait(lambda _: "read" in self.a.ticks("before-1"))
        if self.v1:
            await self.a.send(type="watch", mobileNos=[self.target.mobile, self.third.mobile])
        await self.a.quiet()

    async def part(self) -> None:
        """The moment: the target blocks the asker and lives on, or is gone."""
        assert self.t is not None
        if self.blocks:
            form = {"blockedUserMobileNo": self.asker.mobile}
            answer = await request(self.elsewhere.url, self.target, "POST", "/block-action/block", json=form)
            assert answer.status_code == 200
        else:
            await self.t.end()
        await self.live()

    async def live(self) -> None:
        """What the target does when it lives: everything that shows in some way to somebody."""
        if not self.blocks:
            return
        if self.t is not None:
            await self.t.send(type="typing", to=self.asker.mobile, active=True)
            for n in range(3):
                await self.t.send(type="ack", ackType="read", to=self.asker.mobile, messageId=f"before-{n}")
            await self.t.send(type="watch", mobileNos=[self.asker.mobile])
            await self.t.quiet()
            await self.t.end()
        for method, path, how in (
            ("POST", "/block-action/block", {"json": {"blockedUserMobileNo": self.third.mobile}}),
            ("DELETE", "/block-action/unblock", {"params": {"mobileNo": self.third.mobile}}),
        ):
            assert (await request(self.elsewhere.url, self.target, method, path, **how)).status_code == 200
        tablet = await on_device(self.group.url, self.target, "tablet")
        for who, ack in ((self.target, True), (tablet, True)):
            talk = await connect(who, self.elsewhere, True, ack)
            await talk.quiet()
            await talk.end()
        self.t = await connect(self.target, self.elsewhere, True)

    async def end(self) -> None:
        """Everybody leaves."""
        for talk in (self.a, self.t, self.e):
            if talk is not None:
                await talk.end()

    # ---- what the asker does

    async def step(self, work: Callable[["World"], Awaitable[list[str] | None]]) -> None:
        """One thing that the asker does, and all that comes of it."""
        begun = len(self.a.raw)
        answers = await work(self) or []
        await self.a.quiet()
        # Frames of one moment may come in any order, and grouped in any way.
        got = sorted(frame for raw in self.a.raw[begun:] for frame in _frames(raw))
        self.answers.append([self.plain(text) for text in answers])
        self.frames.append([self.plain(text) for text in got])

    async def http(self, method: str, path: str, who: Person | None = None, **how: Any) -> list[str]:
        """A request, as it was answered: status, headers, body."""
        answer = await request(self.group.url, who or self.asker, method, path, **how)
        return [_answer(answer)]

    def plain(self, text: str) -> str:
        """Without what must differ."""
        for number, name in self._names.items():
            text = text.replace(number, name)
        text = re.sub(r'"lastSeen":("[0-9T:.Z-]+"|\d{13})', self._moment, text)
        text = re.sub(r'"(token|refreshToken|ticket)":"[^"]+"', r'"\1":"<secret>"', text)
        text = re.sub(r"\d{13}-\d+", "<entry>", text)
        text = re.sub(r"\b\d{13}\b", "<ms>", text)
        text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>", text)
        text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", text)
        text = re.sub(r'"(serverId|connectionId|epoch)":"[^"]+"', r'"\1":"<id>"', text)
        return re.sub(r'"id":"\d+"', '"id":"<event>"', text)

    def _moment(self, match: re.Match[str]) -> str:
        """Last seen, by which moment it is: the same one, or another."""
        said = json.loads(match[1])
        ms = said if isinstance(said, int) else round(datetime.fromisoformat(said).timestamp() * 1000)
        name = self._moments.setdefault(ms, f"<moment {len(self._moments)}>")
        return f'"lastSeen":"{name} {type(said).__name__}"'


def _frames(raw: str) -> list[str]:
    """The frames of one message, each as it was written."""
    if not raw.startswith("["):
        return [raw]
    decoder, at, frames = json.JSONDecoder(), 1, []
    while raw[at] != "]":
        _, end = decoder.raw_decode(raw, at)
        frames.append(raw[at:end])
        at = end + (raw[end] == ",")
    return frames


def _answer(answer: httpx.Response) -> str:
    """The length is that of the body, which is compared itself: an id of the server may have one digit more."""
    sent = answer.num_bytes_downloaded  # packed, where it is
    assert sent == int(answer.headers.get("content-length", sent))
    headers = sorted(f"{name}: {value}" for name, value in answer.headers.items() if name not in IGNORED_HEADERS)
    return f"{answer.status_code} {headers} {answer.text}"


def differences(worlds: list[World], names: list[str]) -> dict[str, list[str]]:
    """What differs between two worlds, by the name of the step: where it begins to."""
    found = _compared(names, *(world.answers for world in worlds))
    one, other = (Counter(text for step in world.frames for text in step) for world in worlds)
    if one != other:
        found |= {
            f"{name}, over the socket": texts for name, texts in _compared(names, *(w.frames for w in worlds)).items()
        }
    return found


def _compared(names: list[str], ones: list[list[str]], others: list[list[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, one, other in zip(names, ones, others, strict=True):
        if one != other:
            texts = [text for text in one if text not in other], [text for text in other if text not in one]
            first = [text for some in texts for text in some[:1]]
            at = next((n for n, pair in enumerate(zip(*first, strict=False)) if len({*pair}) > 1), 0)
            found[name] = [f"{len(some)}: {some[:1]}"[:400] for some in texts]
            found[name] += [text[max(0, at - 60) : at + 100] for text in first]
    return found


__all__ = ["PASSWORD", "World", "connect", "differences"]
