"""The arq worker."""

import asyncio
import json
import os
import signal
import threading
import time

from arq import create_pool
from arq.connections import RedisSettings

from tests.chaos.faults.base import TWICE_T, Fault
from tests.chaos.stack import Profile, Stack

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
    """Who is away for longer misses chats, and their senders are told."""

    answers = True
    name, what, touches, seconds = (
        "expiry",
        "chats may wait for 3 s, and the cap runs every half second",
        BACKGROUND,
        8.0,
    )
    profile = Profile(knobs=(("MAILBOX_DAYS", f"{3 / 86_400:.8f}"),))
    outage_limit = 5.0

    def strike(self, stack: Stack) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, args=(stack.redis.url,))
        self._thread.start()

    def _go_on(self, url: str) -> None:
        while not self._over.wait(0.5):
            asyncio.run(_cap(url))

    def heal(self, stack: Stack) -> None:
        self._over.set()
        self._thread.join()


async def _cap(url: str) -> None:
    """Have the arq worker look at all mailboxes, as it does every few minutes."""
    pool = await create_pool(RedisSettings.from_dsn(url), job_serializer=lambda job: json.dumps(job).encode())
    await pool.enqueue_job("cron:cap_mailboxes")
    await pool.aclose()


FAULTS: list[type[Fault]] = [KillBackground, FreezeBackground, DoubleBackground, BackgroundFirst, Expiry]
