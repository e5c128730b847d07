"""Ravi's connection between a socket made by hand and a real Redis."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
from redis.asyncio import Redis

from accounts.mobile_numbers import canonical_mobile
from delivery.connection.connection import UNSENT_BYTES, Connection
from delivery.redis.client import RedisClient
from protocol.dialects import V1, Seed
from protocol.errors import Close
from tests.delivery.one_server import ASHA, RAVI, OneServer, until
from tests.delivery.test_messenger import mailbox_of

Frame = dict[str, Any]
LEASES = f"leases:{{{RAVI}}}"


class HandSocket:
    """Takes everything at once, unless told that the client does not read."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.messages = 0
        self.closes: list[Close] = []
        self.pings = 0
        self.resumes = 0
        self.unsent_bytes = 0
        self.unread = False
        self.has_unread_messages = False
        self.is_closing = False
        self.reading = asyncio.Event()
        self.reading.set()

    def send(self, text: bytes) -> None:
        said = msgspec.json.decode(text)
        self.frames += said if isinstance(said, list) else [said]
        self.messages += 1

    def ping(self) -> int:
        self.pings += 1
        return self.pings

    def close(self, close: Close) -> None:
        self.closes.append(close)

    def resume_reading(self) -> None:
        self.resumes += 1

    @property
    def waits_for_handler(self) -> bool:
        return self.unread

    def when_drained(self, callback: Callable[[], None]) -> None:
        async def wait() -> None:
            await self.reading.wait()
            self.unsent_bytes = 0
            callback()

        self.waiting = asyncio.ensure_future(wait())

    def stop_reading(self) -> None:
        self.unsent_bytes = UNSENT_BYTES + 1
        self.reading.clear()

    def of(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    def codes(self) -> list[int]:
        return [close.code for close in self.closes]


class Who:
    """Ravi, from his token."""

    account_id = f"account of {RAVI}"
    mobile = RAVI
    name = "Ravi"
    device_id = "primary"
    session_id = "session-1"

    def __init__(self) -> None:
        self.expires_at = int(time.time()) + 3600


class Line:
    """Ravi's connection and what stands around it."""

    def __init__(
        self, redis: "Redis | RedisClient", dialect: V1 | Seed | None = None, who: Who | None = None, **knobs: Any
    ) -> None:
        self.server = OneServer(redis, **knobs)
        self.socket, self.who = HandSocket(), who or Who()
        self.events: list[tuple[str, str]] = []
        self.bug: Exception | None = None
        self.connection = Connection(
            self.socket,
            self.who,
            dialect or V1(),
            "s1",
            self.server.messenger,
            self.server.hub,
            self.server.settings,
            self.canonical,
            lambda kind, _who, reason: self.events.append((kind, reason)),
        )
        self.ear = self.connection.ear

    def canonical(self, raw: str) -> str:
        if self.bug is not None:
            raise self.bug
        return canonical_mobile(raw, "")

    async def begin(self) -> "Line":
        """Until the first frame is sent and the backlog is through."""
        self.connection.start()
        v1 = self.socket.of
        await until(lambda: v1("synced") or v1("system"))
        return self

    async def over(self) -> None:
        """Until it has left the hub and nothing of it runs."""
        await until(lambda: len(self.server.hub) == 0)

    def say(self, message_id: str, **changes: Any) -> None:
        frame = {"type": "chat", "to": ASHA, "messageId": message_id, "message": "hello"} | changes
        self.ear.handle_sign_of_life()
        self.ear.handle_message(json.dumps(frame))
        self.ear.handle_batch_end()

    def read(self, message_id: str) -> None:
        frame = {"type": "ack", "ackType": "read", "to": ASHA, "messageId": message_id}
        self.ear.handle_message(json.dumps(frame))

    def renew(self) -> None:
        """The second in which a renewal is due: a pong came, and a ping period is over."""
        self.ear.handle_sign_of_life()
        self.connection.tick(time.monotonic() + self.server.settings.ping_seconds)

    async def has_waiting(self, count: int) -> bool:
        """Whether so many entries are in Ravi's mailbox."""
        return len(await mailbox_of(self.server, RAVI)) == count

    async def hear(self, message_id: str, sender: str = ASHA) -> str:
        """A chat for Ravi, until it has arrived; its streamId."""
        stream_id = await self.server.send(sender, RAVI, message_id)
        await until(lambda: message_id in [frame["messageId"] for frame in self.socket.of("chat")])
        return stream_id


async def pending(redis: "Redis") -> int:
    """How many entries Ravi's one device has taken and not settled."""
    (group,) = await redis.xinfo_groups(f"mailbox:{{{RAVI}}}")
    return int(group["pending"])
