"""Clients that vanish, do not read, dawdle, or come all at once; and a message our own code cannot handle."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlsplit

import websockets

from tools.chaos.faults.base import TWICE_T, Fault
from tools.chaos.scripted_client import ScriptedConnection, ScriptedUser, sign_up
from tools.chaos.servers import ROOT
from tools.chaos.stack import POISON, Profile, Stack

CLIENTS = frozenset({"clients"})


class Vanish(Fault):
    """A tunnel: no FIN, no RST, nothing. Who was in it must be offline after T, and can come back by another way."""

    name, what, seconds = "vanish", "every client of one server goes silent without a FIN", TWICE_T
    touches = frozenset({"front"})

    def strike(self, stack: Stack) -> None:
        stack.front.forsake()

    def heal(self, stack: Stack) -> None:
        stack.front.heal()


async def strangers(url: str, count: int) -> list[ScriptedUser]:
    """So many who have just signed up."""
    return [await sign_up(url) for _ in range(count)]


async def _let_in(person: ScriptedUser, ws_url: str) -> ScriptedConnection:
    """Connected, if need be after what else breaks is mended.

    :raises TimeoutError: not within 30 s
    """
    async with asyncio.timeout(30):
        while True:
            try:
                return await person.connect(ws_url)
            except (OSError, websockets.WebSocketException, AssertionError):  # the last: no first frame came
                await asyncio.sleep(0.5)


def upgrade(url: str, person: ScriptedUser, receive_bytes: int) -> socket.socket:
    """A socket that has asked for an upgrade, and has read nothing.

    :param receive_bytes: what the kernel may hold for it
    """
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    made.settimeout(10)
    parts = urlsplit(url)
    made.connect((parts.hostname, parts.port))
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET /?token={person.token} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: wm.v1",
    ]
    made.sendall("\r\n".join([*lines, "", ""]).encode())
    return made


class NeverRead(Fault):
    """What waits for him stays in his mailbox: nobody holds it in memory for him."""

    answers = True
    name, what, touches, seconds = "never-read", "a client with 3 MB waiting that never reads", CLIENTS, 6.0
    outage_limit = 5.0
    chats: ClassVar[int] = 400

    def prepare(self, stack: Stack) -> None:
        self._complaints: list[str] = []
        self._url = stack.groups[1].url
        self._deaf = asyncio.run(self._prepare())

    def strike(self, stack: Stack) -> None:
        self._socket = upgrade(self._url, self._deaf, 4096)

    def _ws(self) -> str:
        return self._url.replace("http", "ws", 1)

    async def _prepare(self) -> ScriptedUser:
        deaf, self._talker = await sign_up(self._url), await sign_up(self._url)
        talk = await self._talker.connect(self._ws())
        for n in range(self.chats):
            await talk.send(type="chat", to=deaf.mobile, messageId=f"m-{n}", message=f"{n} " + "x" * 8000)
        await talk.wait_all(lambda frame: frame["type"] == "sent", self.chats, 30)
        await talk.close()
        return deaf

    def heal(self, stack: Stack) -> None:
        if not self._was_hung_up_on():
            self._complaints.append("a client that never reads was not hung up on")
        self._socket.close()
        asyncio.run(self._read_all())

    def _was_hung_up_on(self) -> bool:
        """What was on its way is read first, then the end must come."""
        self._socket.settimeout(1)
        with contextlib.suppress(ConnectionError):
            try:
                while self._socket.recv(1 << 16):
                    continue
            except TimeoutError:
                return False
        return True

    async def _read_all(self) -> None:
        talk = await self._deaf.connect(self._ws())
        await talk.wait_all(lambda frame: frame["type"] == "chat", self.chats, 20)
        if [frame["messageId"] for frame in talk.chats()] != [f"m-{n}" for n in range(self.chats)]:
            self._complaints.append("what waited for who never read did not come whole and in order")
        told = await self._talker.connect(self._ws())  # his receipts must not wait for ever
        await asyncio.sleep(1)
        await told.close()
        await talk.close()

    def after(self, stack: Stack) -> list[str]:
        return self._complaints


class Trickle(Fault):
    """Sockets that are busy without doing anything."""

    answers = True
    name, what, touches, seconds = "trickle", "30 clients that send or read a few bytes a second", CLIENTS, 6.0
    outage_limit = 5.0

    def prepare(self, stack: Stack) -> None:
        (self._person,) = asyncio.run(strangers(stack.groups[1].url, 1))

    def strike(self, stack: Stack) -> None:
        url = stack.groups[1].url
        parts = urlsplit(url)
        self._drips = [socket.create_connection((parts.hostname, parts.port)) for _ in range(20)]
        self._sips = [upgrade(url, self._person, 4096) for _ in range(10)]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._dawdle, args=(self._person,))
        self._thread.start()

    def _dawdle(self, person: ScriptedUser) -> None:
        words = iter(f"GET /?token={person.token} HTTP/1.1\r\nHost: localhost\r\nX-Long: ".encode() + b"x" * 4096)
        while not self._over.wait(0.2):
            byte = bytes([next(words)])
            for drip in self._drips:
                with contextlib.suppress(OSError):
                    drip.sendall(byte)
            for sip in self._sips:
                with contextlib.suppress(OSError):
                    sip.recv(8, socket.MSG_DONTWAIT)

    def heal(self, stack: Stack) -> None:
        self._over.set()
        self._thread.join()
        for each in [*self._drips, *self._sips]:
            each.close()


class Herd(Fault):
    """A network that comes back: everybody at once."""

    keeps: ClassVar[Mapping[str, int]] = {"descriptors": 30}
    """The pools of three workers grow to DATABASE_POOL (10), and do not shrink."""
    name, what, touches, seconds = "herd", "1,000 (long: 5,000) people reconnect at once", CLIENTS, 0.0
    people: ClassVar[int] = 1_000
    long_people: ClassVar[int] = 5_000
    most_seconds: ClassVar[float] = 15.0

    def strike(self, stack: Stack) -> None:
        people = self.long_people if stack.long else self.people
        tokens = stack.tokens(people)
        told = json.dumps({"tokens": tokens, "urls": [group.url for group in stack.groups]})
        done = subprocess.run(
            [sys.executable, "-m", "tools.chaos.mass_reconnect"],
            cwd=ROOT,
            input=told,
            text=True,
            capture_output=True,
            timeout=180,
            check=True,
        )
        self._result = json.loads(done.stdout)

    def after(self, stack: Stack) -> list[str]:
        found = self._result
        slow = found["again"] > self.most_seconds
        return ([f"{found['failed']} of a herd stayed out"] if found["failed"] else []) + (
            [f"a herd took {found['again']:.1f} s to come back"] if slow else []
        )


class PoisonedChat(Fault):
    """It is parked after five tries, the ones behind it flow, and nobody tries for ever."""

    name, what, touches, seconds = "poison", "a chat our own code raises on, in front of others", CLIENTS, 0.0
    outage_limit = 5.0
    profile = Profile(patches="block,poison")
    connects: ClassVar[int] = 7
    most_tries: ClassVar[int] = 20

    def prepare(self, stack: Stack) -> None:
        self._complaints: list[str] = []
        self._before = self._tries(stack)
        self._people = asyncio.run(self._poison(stack.groups[1].url))

    async def _poison(self, url: str) -> list[ScriptedUser]:
        asha, ravi = await strangers(url, 2)
        talk = await asha.connect(url.replace("http", "ws", 1))
        for n, text in enumerate([f"{POISON} pill", "two", "three"]):
            await talk.send(type="chat", to=ravi.mobile, messageId=f"m-{n}", message=text)
        await talk.wait_all(lambda frame: frame["type"] == "sent", 3)
        await talk.close()
        return [asha, ravi]

    def strike(self, stack: Stack) -> None:
        asyncio.run(self._play(stack))

    async def _play(self, stack: Stack) -> None:
        url = stack.groups[1].url
        ws_url = url.replace("http", "ws", 1)
        asha, ravi = self._people
        heard = [await self._connect(ravi, ws_url, 1.0) for _ in range(self.connects)]
        if heard[0] != ["m-1", "m-2"] or any(heard[1:]):
            self._complaints.append(f"behind a poisoned chat came {heard}")
        parked = "an entry is parked" in stack.groups[1].text() + stack.groups[0].text()
        if not parked:
            self._complaints.append("a poisoned chat was not parked")
        await ravi.request(url, "POST", "/block-action/block", json={"blockedUserMobileNo": asha.mobile})
        await self._connect(ravi, ws_url, 0.5)  # which drops what a blocked sender left
        await self._connect(asha, ws_url, 0.5)  # for the receipts of those behind it

    async def _connect(self, person: ScriptedUser, ws_url: str, seconds: float) -> Sequence[str]:
        talk = await _let_in(person, ws_url)
        await asyncio.sleep(seconds)
        await talk.close()
        return [str(frame["messageId"]) for frame in talk.chats()]

    def _tries(self, stack: Stack) -> int:
        return sum(group.text().count("an entry could not be said") for group in stack.groups)

    def after(self, stack: Stack) -> list[str]:
        tries = self._tries(stack) - self._before
        looped = [f"a poisoned chat was tried {tries} times"] if tries > self.most_tries else []
        return self._complaints + looped


FAULTS: list[type[Fault]] = [Vanish, NeverRead, Trickle, Herd, PoisonedChat]
