"""The arq worker."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from arq import create_pool
from arq.connections import RedisSettings

from tools.chaos.faults.base import TWICE_T, Fault
from tools.chaos.faults.clients import new_users
from tools.chaos.stack import Profile, Stack

BACKGROUND = frozenset({"background"})


class KillBackground(Fault):
    """Its supervisor starts it again."""

    servers_answer = True
    name, what, touches, seconds = "kill-arq", "kill -9 of the arq worker", BACKGROUND, 1.0
    outage_limit = 5.0

    def strike(self, stack: Stack) -> None:
        stack.background.child.kill()


class FreezeBackground(Fault):
    """It goes on in the middle of a job that another worker may have done."""

    servers_answer = True
    name, what = "freeze-arq", "SIGSTOP of the arq worker for 2 x T (long: 35 s), a second one beside it"
    touches, seconds = BACKGROUND, TWICE_T
    long_seconds = 35.0  # beyond job_timeout + 10 s: the job runs twice
    logs = frozenset({"failed, TimeoutError"})  # of the job in the middle of which it was frozen
    outage_limit = 5.0

    def strike(self, stack: Stack) -> None:
        self._pid = stack.background.child.pid
        os.kill(self._pid, signal.SIGSTOP)
        self._other = stack.background.another()

    def heal(self, stack: Stack) -> None:
        os.kill(self._pid, signal.SIGCONT)
        time.sleep(1)
        self._other.stop(5)


class DoubleBackground(Fault):
    """It was started on two machines."""

    servers_answer = True
    name, what, touches, seconds = "double-arq", "a second arq worker", BACKGROUND, 5.0
    outage_limit = 5.0

    def strike(self, stack: Stack) -> None:
        self._other = stack.background.another()

    def heal(self, stack: Stack) -> None:
        self._other.stop(5)


class BackgroundFirst(Fault):
    """arq ends when there is no Redis, and must run when there is one."""

    servers_answer = True
    name, what, seconds = "arq-before-redis", "Redis away, the arq worker started meanwhile", 2.0
    touches = frozenset({"background", "redis"})

    def strike(self, stack: Stack) -> None:
        stack.redis.kill()
        stack.background.child.kill()

    def heal(self, stack: Stack) -> None:
        stack.redis.start()

    def after(self, stack: Stack) -> list[str]:
        with stack.client() as client:
            return [] if client.exists("arq:queue:health-check") else ["no arq worker has written its health check"]


class Expiry(Fault):
    """Chats that nobody fetches: their sender gets a receipt. (For receipts that nobody fetches there is none, so no
    other client is away for so long.)"""

    servers_answer = True
    name, what = "expiry", "chats may wait for 5 s, and the expiry job runs every half second; three are for nobody"
    touches, seconds = BACKGROUND, 0.0
    profile = Profile(knobs=(("MAILBOX_DAYS", f"{5 / 86_400:.8f}"),))
    outage_limit = 5.0
    rates: ClassVar[Mapping[str, float]] = {"vanish": 0.0, "lose_signal": 0.0, "log_out": 0.0}
    chats: ClassVar[Sequence[str]] = ("m-0", "m-1", "m-2")

    def prepare(self, stack: Stack) -> None:
        self._users = asyncio.run(new_users(stack.groups[1].url, 2))

    def strike(self, stack: Stack) -> None:
        self._receipts = asyncio.run(self._send_and_wait(stack.groups[1].url, stack.redis.url))

    async def _send_and_wait(self, url: str, redis_url: str) -> list[list[str]]:
        asha, ravi = self._users
        talk = await asha.connect(url.replace("http", "ws", 1))
        for message_id in self.chats:
            await talk.send_chat(ravi, message_id)
        for _ in range(20):
            await asyncio.sleep(0.5)
            await _cap(redis_url)
        receipts = [talk.receipts(message_id) for message_id in self.chats]
        await talk.close()
        return receipts

    def heal(self, stack: Stack) -> None:
        """Nothing is to be repaired."""

    def after(self, stack: Stack) -> list[str]:
        expired = [set(kinds) == {"expired"} for kinds in self._receipts]
        sentence = f"the sender of chats that waited for too long got the receipts {self._receipts}"
        return [] if all(expired) else [sentence]


async def _cap(url: str) -> None:
    """Make the arq worker go through all mailboxes, as it does every few minutes."""
    pool = await create_pool(RedisSettings.from_dsn(url), job_serializer=lambda job: json.dumps(job).encode())
    await pool.enqueue_job("cron:expire_mailboxes")
    await pool.aclose()


FAULTS: list[type[Fault]] = [KillBackground, FreezeBackground, DoubleBackground, BackgroundFirst, Expiry]
