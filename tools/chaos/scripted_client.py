"""A client that does what a fault's script tells it, step by step, and keeps every frame that it gets."""

import asyncio
import contextlib
import itertools
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

PASSWORD: Final = "correct horse"
HTTP_SECONDS: Final = 15.0
FRAME_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 15.0
Frame = dict[str, Any]
_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Each client would read the certificates of the world otherwise, for plain HTTP."""
_mobiles = itertools.count(9_100_000_000)


@dataclass
class ScriptedConnection:
    """An open socket. It acknowledges every entry that it gets."""

    socket: ClientConnection
    v1: bool
    frames: list[Frame] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Task[None] | None = None

    def start_reading(self) -> None:
        """To be called once."""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                message = json.loads(await self.socket.recv())
                for frame in message if isinstance(message, list) else [message]:
                    self.frames.append(frame)
                    await self._acknowledge(frame)
                self._changed.set()

    async def _acknowledge(self, frame: Frame) -> None:
        if "streamId" in frame and (frame["type"] == "chat" or self.v1):
            await self.send(type="ack", to=frame["from"], streamId=frame["streamId"], ackType="delivered")

    async def send(self, **frame: Any) -> None:
        """Send one frame."""
        await self.socket.send(json.dumps(frame))

    async def send_chat(self, to: "ScriptedUser", message_id: str, message: str = "hello") -> Frame:
        """Send a chat; its answer."""
        await self.send(type="chat", to=to.mobile, messageId=message_id, message=message)
        return await self.wait(lambda f: f["type"] in ("sent", "system", "error") and f.get("messageId") == message_id)

    async def wait(self, wanted: Callable[[Frame], bool], seconds: float = FRAME_SECONDS) -> Frame:
        """The first frame that is wanted, among those that arrived and will arrive.

        :raises AssertionError: none arrived in time
        """
        return (await self.wait_all(wanted, 1, seconds))[0]

    async def wait_all(
        self, wanted: Callable[[Frame], bool], count: int, seconds: float = FRAME_SECONDS
    ) -> list[Frame]:
        """At least ``count`` of these frames.

        :raises AssertionError: fewer arrived in time
        """
        found: list[Frame] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = [frame for frame in self.frames if wanted(frame)]
                    if len(found) >= count:
                        return found
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{len(found)} of {count} arrived; the last: {self.frames[-5:]}") from None

    def chats(self) -> list[Frame]:
        """The chats that arrived."""
        return [frame for frame in self.frames if frame["type"] == "chat"]

    def receipts(self, message_id: str) -> list[str]:
        """The kinds of the receipts for this chat, in order."""
        return [frame["ackType"] for frame in self.frames if frame["type"] == "ack" and message_id in _named(frame)]

    def receipted(self) -> list[str]:
        """The messageId of every chat in a receipt."""
        return [message_id for frame in self.frames if frame["type"] == "ack" for message_id in _named(frame)]

    async def close(self) -> None:
        """Close the socket."""
        await self.socket.close()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)


def _named(receipt: Frame) -> list[str]:
    named: list[str] = receipt.get("messageIds") or [receipt.get("messageId", "")]
    return named


@dataclass
class ScriptedUser:
    """A person with an account and a token."""

    mobile: str
    token: str

    async def connect(self, ws_url: str, v1: bool = True) -> ScriptedConnection:
        """Connect, and wait for the first frame. Another fault may have the server restart just now: then try again.

        :param ws_url: ``ws://host:port``
        :raises ConnectionError: nothing listens there for ``PATIENCE_SECONDS``
        """
        subprotocols = [websockets.Subprotocol("wm.v1")] if v1 else None
        url, deadline = f"{ws_url}/?token={self.token}", time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                opened = await websockets.connect(url, subprotocols=subprotocols, max_queue=4096)
                break
            except ConnectionError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
        connection = ScriptedConnection(opened, v1)
        connection.start_reading()
        await connection.wait(lambda frame: frame["type"] in ("hello", "system"))
        return connection

    async def request(self, url: str, method: str, path: str, **options: Any) -> httpx.Response:
        """One HTTP request with the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(base_url=url, timeout=HTTP_SECONDS, verify=_NO_TLS, headers=headers) as client:
            return await client.request(method, path, **options)


async def sign_up(url: str) -> ScriptedUser:
    """Create an account and log in.

    :param url: ``http://host:port``
    """
    mobile = str(next(_mobiles))
    async with httpx.AsyncClient(base_url=url, timeout=HTTP_SECONDS, verify=_NO_TLS) as client:
        form = {"name": "Asha", "mobileNo": mobile, "password": PASSWORD}
        (await client.post("/auth/signin", json=form)).raise_for_status()
    return ScriptedUser(mobile, await log_in(url, mobile))


async def log_in(url: str, mobile: str, device: str = "") -> str:
    """A token.

    :param device: "": the default one
    """
    async with httpx.AsyncClient(base_url=url, timeout=HTTP_SECONDS, verify=_NO_TLS) as client:
        form = {"mobileNo": mobile, "password": PASSWORD} | ({"deviceId": device} if device else {})
        response = (await client.post("/auth/login", json=form)).raise_for_status()
    return str(response.json()["token"])
