"""Redis whose memory is full. People must still be able to do everything but send chats."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, TypeVar

import httpx
import websockets

from tools.chaos.faults.base import Fault
from tools.chaos.scripted_client import ScriptedConnection, ScriptedUser, log_in, sign_up
from tools.chaos.stack import Stack

T = TypeVar("T")
STEP_SECONDS: Final = 30.0
"""For one step. It may fail because of another fault, but not for as long as memory is full."""
_STEP_ERRORS: Final = (OSError, httpx.HTTPError, websockets.WebSocketException, AssertionError)


async def _eventually(what: str, step: Callable[[], Awaitable[T]]) -> T:
    """The result of a step, which is tried again until it works.

    :raises AssertionError: it does not work within :data:`STEP_SECONDS`
    """
    until = time.monotonic() + STEP_SECONDS
    while True:
        try:
            return await step()
        except _STEP_ERRORS as error:
            if time.monotonic() > until:
                raise AssertionError(f"with Redis' memory full: {what}: {type(error).__name__}: {error}") from error
            await asyncio.sleep(0.3)


class OutOfMemory(Fault):
    """maxmemory with noeviction: chats are refused. Everything else works, so that memory becomes free again."""

    servers_answer = True
    name, what, touches, seconds = (
        "maxmemory",
        "Redis at maxmemory, people come, read, block, log in and out; then allowed more",
        frozenset({"redis"}),
        4.0,
    )
    chats: ClassVar[int] = 15
    """Of 16 kB each, which wait in one mailbox."""

    def prepare(self, stack: Stack) -> None:
        self._complaints: list[str] = []
        self._receipted: set[str] = set()
        self._url = stack.groups[1].url
        self._ws_url = self._url.replace("http", "ws", 1)
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        self._asha, self._ravi, self._mina = [await sign_up(self._url) for _ in range(3)]
        talk = await self._asha.connect(self._ws_url)
        for n in range(self.chats):
            await talk.send(type="chat", to=self._ravi.mobile, messageId=f"m-{n}", message=f"{n} " + "x" * 16_000)
        await talk.wait_all(lambda frame: frame["type"] == "sent", self.chats, 30)
        await talk.close()

    def strike(self, stack: Stack) -> None:
        with stack.client() as client:
            client.config_set("maxmemory", "1mb")
        self._visitors = threading.Thread(target=self._visit, args=(stack,))
        self._visitors.start()

    def heal(self, stack: Stack) -> None:
        self._visitors.join()
        with stack.client() as client:
            client.config_set("maxmemory", "0")
        try:
            asyncio.run(self._afterwards())
        except AssertionError as error:
            self._complaints.append(str(error))

    def after(self, stack: Stack) -> list[str]:
        return self._complaints

    # ---- while it is full

    def _visit(self, stack: Stack) -> None:
        try:
            asyncio.run(self._come_and_go())
            with stack.client() as client:
                left: Any = client.xlen(f"mailbox:{{{self._ravi.mobile}}}")
            assert not left, f"with Redis' memory full: {left} chats that were read did not leave"
        except AssertionError as error:
            self._complaints.append(str(error))

    async def _come_and_go(self) -> None:
        await _eventually("/ready does not say so", self._ready_says_so)
        await asyncio.gather(self._read(), self._block_and_be_refused(), self._log_in_and_out())

    async def _ready_says_so(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=10) as client:
            answer = await client.get("/ready")
        assert (answer.status_code, answer.json()["checks"]["memory"]) == (200, False), answer.text

    async def _read(self) -> None:
        """A person with waiting chats gets and acknowledges them, and is shown online, in both dialects."""

        async def read(v1: bool) -> None:
            talk = await self._ravi.connect(self._ws_url, v1)
            try:
                await asyncio.sleep(0.2)
                if v1:
                    await talk.wait(lambda frame: frame["type"] == "synced")
                query = {"mobileNo": self._ravi.mobile}
                answer = await self._mina.request(self._url, "GET", "/profile/lastseen", params=query)
                assert answer.status_code == 200, answer.text
                assert answer.json()["data"].get("lastSeen") == "online", "connected, and not shown online"
            finally:
                await talk.close()
                # Only now: it acknowledges what arrives until it is closed.
                seen.update(frame["messageId"] for frame in talk.chats())

        seen: set[str] = set()
        await _eventually("a person with waiting chats cannot read them", lambda: read(False))
        await _eventually("a person with waiting chats cannot read them", lambda: read(True))
        assert seen == {f"m-{n}" for n in range(self.chats)}, f"with Redis' memory full only {sorted(seen)} arrived"

    async def _block_and_be_refused(self) -> None:
        async def block() -> None:
            body = {"blockedUserMobileNo": self._asha.mobile}
            answer = await self._mina.request(self._url, "POST", "/block-action/block", json=body)
            assert answer.status_code == 200, answer.text
            query = {"mobileNo": self._asha.mobile}
            answer = await self._mina.request(self._url, "DELETE", "/block-action/unblock", params=query)
            assert answer.status_code == 200, answer.text

        async def chat() -> None:
            async with self._opened(self._asha) as talk:
                answer = await talk.send_chat(self._mina, f"refused-{time.monotonic_ns()}")
                sent.append(answer["type"] == "sent")
                assert answer.get("code") == "storage_full", answer

        sent: list[bool] = []
        await _eventually("a block fails", block)
        await _eventually("a chat is not refused as storage_full", chat)
        assert not any(sent), "a chat was sent with Redis' memory full"

    async def _log_in_and_out(self) -> None:
        async def ticket() -> None:
            answer = await self._mina.request(self._url, "POST", "/v1/tickets")
            assert answer.status_code == 200, answer.text
            url = f"{self._ws_url}/?ticket={answer.json()['ticket']}"
            async with websockets.connect(url, subprotocols=[websockets.Subprotocol("wm.v1")]) as socket:
                assert "hello" in str(await asyncio.wait_for(socket.recv(), 5))

        async def enter() -> ScriptedUser:
            return ScriptedUser(self._mina.mobile, await log_in(self._url, self._mina.mobile, "laptop"))

        async def leave() -> None:
            answer = await laptop.request(self._url, "POST", "/auth/logout")
            assert answer.status_code == 200, answer.text

        async def is_out() -> None:
            answer = await laptop.request(self._url, "GET", "/block-action/list")
            assert answer.status_code == 401, f"the token of a logout still works: {answer.status_code}"

        await _eventually("a ticket does not work", ticket)
        laptop = await _eventually("a login fails", enter)
        await _eventually("a logout fails", leave)
        await _eventually("a token still works after its logout", is_out)

    # ---- afterwards

    async def _afterwards(self) -> None:
        """There is room again: chats are sent, and the receipts of what was read have arrived."""

        async def again() -> None:
            async with self._opened(self._asha) as asha, self._opened(self._ravi) as ravi:
                message_id = f"again-{time.monotonic_ns()}"
                assert (await asha.send_chat(self._ravi, message_id))["type"] == "sent"
                await ravi.wait(lambda frame: frame["type"] == "chat" and frame["messageId"] == message_id)
                await asha.wait(lambda frame: frame["type"] == "ack" and message_id in str(frame))

        await _eventually("afterwards no chat is sent", again)
        missing = {f"m-{n}" for n in range(self.chats)} - self._receipted
        assert not missing, f"read with Redis' memory full, and never receipted: {sorted(missing)}"

    @asynccontextmanager
    async def _opened(self, person: ScriptedUser) -> AsyncIterator[ScriptedConnection]:
        """A connection, closed at the end. The receipts that it got are kept: it has acknowledged them."""
        talk = await person.connect(self._ws_url)
        try:
            yield talk
        finally:
            await talk.close()
            self._receipted.update(talk.receipted())


FAULTS: list[type[Fault]] = [OutOfMemory]
