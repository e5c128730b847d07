"""People and servers for the jobs."""

import asyncio
import dataclasses
import importlib
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from delivery import keys
from models import Block, User
from tests.delivery.person_scripts import MOBILE, Scripts

Job = Callable[[dict[str, Any]], Awaitable[int]]


async def enrol(mobile: str, *blocked: User, version: int = 0) -> User:
    """A person with a block list."""
    user = await User.create(
        id=uuid.uuid4(), mobile_no=mobile, name="Somebody", password_hash="x" * 60, blocks_version=version
    )
    # Chats in the tests are no older than this, and so they are this account's.
    await User.filter(id=user.id).update(created_at=datetime.now(UTC) - timedelta(days=365))
    for other in blocked:
        await Block.create(blocker=user, blocked=other)
    return user


async def connected(person: Scripts, server: str = "s1", *, alive: bool = True, lease_ms: int = 60_000) -> None:
    """Somebody holds a connection on a server."""
    await person.redis.zadd(keys.SERVERS, {server: 1})
    await person.redis.sadd(keys.people(server), MOBILE)
    if alive:
        await person.redis.set(keys.server(server), "{}")
    await person.claim(server=server, lease_ms=lease_ms, account=await account(person))


async def account(person: Scripts) -> str:
    """The account id Redis knows."""
    found = await person.redis.hget(person.keys.user, "id")
    return found.decode() if found else ""


def with_settings(ctx: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The same services under other settings."""
    services = ctx["services"]
    return {"services": dataclasses.replace(services, settings=services.settings.model_copy(update=changes))}


async def at_once(job: Job, ctx: dict[str, Any], times: int = 4) -> list[int]:
    """Several workers at the same job."""
    return await asyncio.gather(*(job(ctx) for _ in range(times)))


class CutOff:
    """Cancels a job at the n-th command, as arq does after 20 s, or the end of its process."""

    def __init__(self, ctx: dict[str, Any]) -> None:
        self._link = ctx["services"].redis
        self._send = self._link._send
        self._left = 0
        self._task: asyncio.Task[int] | None = None
        self._link._send = self._counted

    def _counted(self, *words: Any, **more: Any) -> None:
        self._left -= 1
        if self._left == 0 and self._task is not None:
            self._task.cancel()
        self._send(*words, **more)

    async def after(self, commands: int, job: Job, ctx: dict[str, Any]) -> bool:
        """Whether it was through before."""
        self._left = commands
        self._task = asyncio.ensure_future(job(ctx))
        try:
            await self._task
        except asyncio.CancelledError:
            return False
        finally:
            self._task = None
        return True


class Modules:
    """The jobs' modules. Their package reads the environment when it is imported."""

    def __getattr__(self, name: str) -> Any:
        return importlib.import_module(f"workers.{name}")
