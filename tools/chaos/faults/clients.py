"""Clients that vanish, do not read, are slow, or connect all at once; and a chat that our own code cannot encode."""

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

import httpx
import websockets

from tools.chaos.faults.base import TWICE_T, Fault
from tools.chaos.faults.storage import POSTGRES
from tools.chaos.scripted_client import ScriptedConnection, ScriptedUser, sign_up
from tools.chaos.servers import ROOT
from tools.chaos.stack import POISON, Profile, Stack

CLIENTS = frozenset({"clients"})


class Vanish(Fault):
    """The clients behind the proxy lose their network, without FIN or RST. After a lease they must be shown offline,
    and they can come back by another way."""

    name, what, seconds = "vanish", "every client of one server goes silent without a FIN", TWICE_T
    touches = frozenset({"front"})

    def strike(self, stack: Stack) -> None:
        stack.client_proxy.abandon()

    def heal(self, stack: Stack) -> None:
        stack.client_proxy.heal()


async def new_users(url: str, count: int) -> list[ScriptedUser]:
    """People who have just signed up."""
    return [await sign_up(url) for _ in range(count)]


async def _connect(user: ScriptedUser, ws_url: str) -> ScriptedConnection:
    """Connect, and try again while another fault lasts.

    :raises TimeoutError: no attempt succeeded within 30 s
    """
    async with asyncio.timeout(30):
        while True:
            try:
                return await user.connect(ws_url)
            except (OSError, websockets.WebSocketException, AssertionError):  # the last: no first frame
                await asyncio.sleep(0.5)


async def _block(user: ScriptedUser, url: str, mobile: str) -> None:
    """Block somebody, and try again while another fault lasts.

    :raises TimeoutError: no attempt succeeded within 30 s
    """
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await user.request(url, "POST", "/block-action/block", json={"blockedUserMobileNo": mobile})
                if answer.is_success:
                    return
            await asyncio.sleep(0.5)


def upgrade(url: str, user: ScriptedUser, receive_bytes: int) -> socket.socket:
    """A socket that has sent an upgrade request and has read nothing.

    :param receive_bytes: the kernel's receive buffer
    """
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    made.settimeout(10)
    parts = urlsplit(url)
    made.connect((parts.hostname, parts.port))
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET /?token={user.token} HTTP/1.1",
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
    """What waits for the client stays in its mailbox, and not in the memory of a server."""

    servers_answer = True
    name, what, touches, seconds = "never-read", "a client with 3 MB waiting that never reads", CLIENTS, 6.0
    outage_limit = 5.0
    needs_storage = True
    chats: ClassVar[int] = 400

    def prepare(self, stack: Stack) -> None:
        self._complaints: list[str] = []
        self._url = stack.groups[1].url
        self._silent = asyncio.run(self._prepare())

    def strike(self, stack: Stack) -> None:
        self._socket = upgrade(self._url, self._silent, 4096)

    def _ws(self) -> str:
        return self._url.replace("http", "ws", 1)

    async def _prepare(self) -> ScriptedUser:
        silent, self._sender = await sign_up(self._url), await sign_up(self._url)
        talk = await self._sender.connect(self._ws())
        for n in range(self.chats):
            await talk.send(type="chat", to=silent.mobile, messageId=f"m-{n}", message=f"{n} " + "x" * 8000)
        await talk.wait_all(lambda frame: frame["type"] == "sent", self.chats, 30)
        await talk.close()
        return silent

    def heal(self, stack: Stack) -> None:
        if not self._was_closed():
            self._complaints.append("a client that never reads was not closed")
        self._socket.close()
        asyncio.run(self._read_all())

    def _was_closed(self) -> bool:
        """Whether the socket ends after what was on its way."""
        self._socket.settimeout(1)
        with contextlib.suppress(ConnectionError):
            try:
                while self._socket.recv(1 << 16):
                    continue
            except TimeoutError:
                return False
        return True

    async def _read_all(self) -> None:
        talk = await self._silent.connect(self._ws())
        await talk.wait_all(lambda frame: frame["type"] == "chat", self.chats, 20)
        if [frame["messageId"] for frame in talk.chats()] != [f"m-{n}" for n in range(self.chats)]:
            self._complaints.append("what waited for the client that never read did not arrive complete and in order")
        sender = await self._sender.connect(self._ws())  # takes the receipts, or they would be left over
        await asyncio.sleep(1)
        await sender.close()
        await talk.close()

    def after(self, stack: Stack) -> list[str]:
        return self._complaints


class Trickle(Fault):
    """Sockets that are busy and achieve nothing."""

    servers_answer = True
    name, what, touches, seconds = "trickle", "30 clients that send or read a few bytes a second", CLIENTS, 6.0
    outage_limit = 5.0

    def prepare(self, stack: Stack) -> None:
        (self._user,) = asyncio.run(new_users(stack.groups[1].url, 1))

    def strike(self, stack: Stack) -> None:
        url = stack.groups[1].url
        parts = urlsplit(url)
        self._senders = [socket.create_connection((parts.hostname, parts.port)) for _ in range(20)]
        self._readers = [upgrade(url, self._user, 4096) for _ in range(10)]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._trickle, args=(self._user,))
        self._thread.start()

    def _trickle(self, user: ScriptedUser) -> None:
        data = iter(f"GET /?token={user.token} HTTP/1.1\r\nHost: localhost\r\nX-Long: ".encode() + b"x" * 4096)
        while not self._stopped.wait(0.2):
            byte = bytes([next(data)])
            for sender in self._senders:
                with contextlib.suppress(OSError):
                    sender.sendall(byte)
            for reader in self._readers:
                with contextlib.suppress(OSError):
                    reader.recv(8, socket.MSG_DONTWAIT)

    def heal(self, stack: Stack) -> None:
        self._stopped.set()
        self._thread.join()
        for each in [*self._senders, *self._readers]:
            each.close()


class MassReconnect(Fault):
    """A network comes back, and every client connects at once."""

    keeps: ClassVar[Mapping[str, int]] = {"descriptors": 30}
    """The connection pools of three workers grow to DATABASE_POOL (10), and do not shrink."""
    name, what, seconds = "herd", "1,000 (long: 5,000) people reconnect at once", 0.0
    touches = CLIENTS | POSTGRES  # which knows them, and Redis does not
    people: ClassVar[int] = 1_000
    long_people: ClassVar[int] = 5_000
    most_seconds: ClassVar[float] = 15.0

    def strike(self, stack: Stack) -> None:
        people = self.long_people if stack.long else self.people
        tokens = stack.tokens(people)
        request = json.dumps({"tokens": tokens, "urls": [group.url for group in stack.groups]})
        done = subprocess.run(
            [sys.executable, "-m", "tools.chaos.mass_reconnect"],
            cwd=ROOT,
            input=request,
            text=True,
            capture_output=True,
            timeout=180,
            check=True,
        )
        self._result = json.loads(done.stdout)

    def after(self, stack: Stack) -> list[str]:
        found = self._result
        slow = found["again"] > self.most_seconds
        return ([f"{found['failed']} of the people could not reconnect"] if found["failed"] else []) + (
            [f"the mass reconnect took {found['again']:.1f} s"] if slow else []
        )


class PoisonedChat(Fault):
    """It becomes a dead letter after five tries, and the chats behind it arrive."""

    name, what, touches, seconds = "poison", "a chat our own code raises on, in front of others", CLIENTS, 0.0
    outage_limit = 5.0
    profile = Profile(patches="block,poison")
    needs_storage = True
    connects: ClassVar[int] = 7
    most_tries: ClassVar[int] = 20

    def prepare(self, stack: Stack) -> None:
        self._complaints: list[str] = []
        self._before = self._tries(stack)
        self._people = asyncio.run(self._poison(stack.groups[1].url))

    async def _poison(self, url: str) -> list[ScriptedUser]:
        asha, ravi = await new_users(url, 2)
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
        arrived = [await self._connect(ravi, ws_url, 1.0) for _ in range(self.connects)]
        if arrived[0] != ["m-1", "m-2"] or any(arrived[1:]):
            self._complaints.append(f"behind a poisoned chat arrived {arrived}")
        is_dead_letter = "an entry is a dead letter" in stack.groups[1].text() + stack.groups[0].text()
        if not is_dead_letter:
            self._complaints.append("a poisoned chat did not become a dead letter")
        await _block(ravi, url, asha.mobile)
        await self._connect(ravi, ws_url, 0.5)  # which drops the chats of the blocked sender
        await self._connect(asha, ws_url, 0.5)  # for the receipts of the chats behind it

    async def _connect(self, user: ScriptedUser, ws_url: str, seconds: float) -> Sequence[str]:
        talk = await _connect(user, ws_url)
        await asyncio.sleep(seconds)
        await talk.close()
        return [str(frame["messageId"]) for frame in talk.chats()]

    def _tries(self, stack: Stack) -> int:
        return sum(group.text().count("an entry could not be encoded") for group in stack.groups)

    def after(self, stack: Stack) -> list[str]:
        tries = self._tries(stack) - self._before
        looped = [f"a poisoned chat was tried {tries} times"] if tries > self.most_tries else []
        return self._complaints + looped


FAULTS: list[type[Fault]] = [Vanish, NeverRead, Trickle, MassReconnect, PoisonedChat]
