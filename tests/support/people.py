"""People who chat: a client of the product that speaks both dialects, over real sockets."""

import asyncio
import contextlib
import itertools
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

PASSWORD = "correct horse"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Every HTTP client would read the certificates of the world: longer than what most of them are made for takes."""
_numbers = itertools.count(9_100_000_000)
Frame = dict[str, Any]


@dataclass
class Talk:
    """One open socket, and everything that came over it."""

    socket: ClientConnection
    v1: bool
    ack: bool = True
    frames: list[Frame] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                said = json.loads(await self.socket.recv())
                for frame in said if isinstance(said, list) else [said]:
                    self.frames.append(frame)
                    if self.ack:
                        await self._answer(frame)
                self._news.set()

    async def _answer(self, frame: Frame) -> None:
        if "streamId" in frame and (frame["type"] == "chat" or self.v1):
            whom = frame.get("from") or frame["to"]
            await self.send(type="ack", to=whom, streamId=frame["streamId"], ackType="delivered")

    async def send(self, **frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def chat(self, to: "Person", message_id: str, message: str = "hello") -> Frame:
        """Send, and wait for the single tick (or the refusal)."""
        await self.send(type="chat", to=to.mobile, messageId=message_id, message=message)
        return await self.wait(lambda f: f["type"] in ("sent", "system", "error") and f.get("messageId") == message_id)

    async def wait(self, wanted: Callable[[Frame], bool], seconds: float = 10) -> Frame:
        """The first frame that is wanted, past or to come."""
        return (await self.wait_all(wanted, 1, seconds))[0]

    async def wait_all(self, wanted: Callable[[Frame], bool], count: int, seconds: float = 10) -> list[Frame]:
        """At least so many."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = [frame for frame in self.frames if wanted(frame)]
                    if len(found) >= count:
                        return found
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{len(found)} of {count} came; last frames: {self.frames[-5:]}") from None

    def chats(self) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == "chat"]

    def ticks(self, message_id: str) -> list[str]:
        """What became of a chat, in the order it came."""
        return [f["ackType"] for f in self.frames if f["type"] == "ack" and message_id in _named(f)]

    def delivered(self) -> list[str]:
        """Every chat a receipt spoke of, as often as it did."""
        return [message_id for f in self.frames if f["type"] == "ack" for message_id in _named(f)]

    async def end(self) -> None:
        await self.socket.close()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def closed(self, seconds: float = 10) -> int:
        """The close code."""
        await asyncio.wait_for(self.socket.wait_closed(), seconds)
        return self.socket.close_code or 0


def _named(frame: Frame) -> list[str]:
    named: list[str] = frame.get("messageIds") or [frame.get("messageId", "")]
    return named


@dataclass
class Person:
    """Somebody with an account, logged in."""

    mobile: str
    token: str
    name: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def open(self, ws_url: str, v1: bool = True, ack: bool = True, **how: Any) -> Talk:
        """Connect, wait for the greeting, and read from then on."""
        subprotocols = [websockets.Subprotocol("wm.v1")] if v1 else None
        url = f"{ws_url}/?token={self.token}"
        talk = Talk(await websockets.connect(url, subprotocols=subprotocols, max_queue=4096, **how), v1, ack)
        talk.begin()
        await talk.wait(lambda f: f["type"] in ("hello", "system"))
        return talk


def new_mobile() -> str:
    """A number nobody has yet."""
    return str(next(_numbers))


async def sign_up(url: str, name: str = "Asha", device: str | None = None, mobile: str = "") -> Person:
    """A new person. ``mobile``: where it matters which number they have."""
    mobile = mobile or new_mobile()
    async with _client(url) as client:
        form = {"name": name, "mobileNo": mobile, "password": PASSWORD}
        (await client.post("/auth/signin", json=form)).raise_for_status()
        return Person(mobile, await _login(client, mobile, device), name)


async def on_device(url: str, person: Person, device: str) -> Person:
    """The same person, logged in on a device."""
    return Person(person.mobile, await login(url, person.mobile, device), person.name)


async def login(url: str, mobile: str, device: str | None = None) -> str:
    """A token."""
    async with _client(url) as client:
        return await _login(client, mobile, device)


async def _login(client: httpx.AsyncClient, mobile: str, device: str | None) -> str:
    form = {"mobileNo": mobile, "password": PASSWORD} | ({"deviceId": device} if device else {})
    return str((await client.post("/auth/login", json=form)).raise_for_status().json()["token"])


async def request(url: str, person: Person, method: str, path: str, **how: Any) -> httpx.Response:
    """One HTTP request of a person's."""
    async with _client(url, headers=person.headers) as client:
        return await client.request(method, path, **how)


def _client(url: str, **how: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, verify=NO_TLS, timeout=15, **how)
