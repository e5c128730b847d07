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
from tools.chaos.faults.clients import strangers
from tools.chaos.stack import Profile, Stack

BACKGROUND = frozenset({"background"})


class KillBackground(Fault):
    """Its supervisor starts it again."""

    answers = True
    name, what, touches, seconds = "kill-arq", "kill -9 of the arq worker", BACKGROUND, 1.0
    outage_limit = 5.0

    def strike(self, stack: Stack) -> None:
        stack.background.child.kill()


class FreezeBackground(Fault):
    """It wakes in the middle of a job that another may have done."""

    answers = True
    name, what = "freeze-arq", "SIGSTOP of the arq worker for 2 x T (long: 35 s), a second one beside it"
    touches, seconds = BACKGROUND, TWICE_T
    long_seconds = 35.0  # beyond job_timeout + 10 s: the job runs twice
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
    """Somebody started it on two machines."""

    answers = True
    name, what, touches, seconds = "double-arq", "a second arq worker", BACKGROUND, 5.0
    outage_limit = 5.0

    def strike(self, stack: Stack) -> None:
        self._other = stack.background.another()

    def heal(self, stack: Stack) -> None:
        self._other.stop(5)


class BackgroundFirst(Fault):
    """arq ends when there is no Redis, and must be there when there is one."""

    answers = True
    name, what, seconds = "arq-before-redis", "Redis away, the arq worker started meanwhile", 2.0
    touches = frozenset({"background", "redis"})

    def strike(self, stack: Stack) -> None:
        stack.redis.kill()
        stack.background.child.kill()

    def heal(self, stack: Stack) -> None:
        stack.redis.start()

    def after(self, stack: Stack) -> list[str]:
        with stack.client() as client:
            return [] if client.exists("arq:queue:health-check") else ["no arq worker has told of its health"]


class Expiry(Fault):
    """Chats nobody comes for: their sender is told. (Nobody is told of receipts that nobody comes for: so nobody else
    is away for so long.)"""

    answers = True
    name, what = "expiry", "chats may wait for 5 s, and the cap runs every half second; three are for nobody"
    touches, seconds = BACKGROUND, 0.0
    profile = Profile(knobs=(("MAILBOX_DAYS", f"{5 / 86_400:.8f}"),))
    outage_limit = 5.0
    rates: ClassVar[Mapping[str, float]] = {"vanish": 0.0, "lose_signal": 0.0, "log_out": 0.0}
    chats: ClassVar[Sequence[str]] = ("m-0", "m-1", "m-2")

    def prepare(self, stack: Stack) -> None:
        self._people = asyncio.run(strangers(stack.groups[1].url, 2))

    def strike(self, stack: Stack) -> None:
        self._ticks = asyncio.run(self._play(stack.groups[1].url, stack.redis.url))

    async def _play(self, url: str, redis_url: str) -> list[list[str]]:
        asha, ravi = self._people
        talk = await asha.connect(url.replace("http", "ws", 1))
        for message_id in self.chats:
            await talk.send_chat(ravi, message_id)
        for _ in range(20):
            await asyncio.sleep(0.5)
            await _cap(redis_url)
        ticks = [talk.receipts(message_id) for message_id in self.chats]
        await talk.close()
        return ticks

    def heal(self, stack: Stack) -> None:
        """It is over with the last look."""

    def after(self, stack: Stack) -> list[str]:
        told = [set(ticks) == {"expired"} for ticks in self._ticks]
        return [] if all(told) else [f"of chats that waited for too long their sender was told {self._ticks}"]


async def _cap(url: str) -> None:
    """Have the arq worker look at all mailboxes, as it does every few minutes."""
    pool = await create_pool(RedisSettings.from_dsn(url), job_serializer=lambda job: json.dumps(job).encode())
    await pool.enqueue_job("cron:expire_mailboxes")
    await pool.aclose()


FAULTS: list[type[Fault]] = [KillBackground, FreezeBackground, DoubleBackground, BackgroundFirst, Expiry]
