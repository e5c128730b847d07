"""The services that arq gives to jobs, on real Redis and PostgreSQL."""

import importlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.delivery.person_scripts import MOBILE, Scripts
from tests.support.links import close_links
from tests.workers.support import Modules, enrol


@pytest.fixture
async def ctx(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """What ``on_startup`` makes. ``workers`` reads the environment when imported, so it is imported here."""
    for name in ("REDIS_URL", "DATABASE_URL", "JWT_SECRET", "BCRYPT_ROUNDS"):
        monkeypatch.setenv(name, env[name])
    workers = importlib.import_module("workers")
    monkeypatch.setattr(workers, "configure", lambda _level: None)
    async with Redis.from_url(env["REDIS_URL"]) as redis:
        made: dict[str, Any] = {"redis": redis}  # arq's own
        await workers.open_services(made)
        yield made
        await workers.close_services(made)


@pytest.fixture
async def person(ctx: dict[str, Any], env: dict[str, str]) -> AsyncIterator[Scripts]:
    """Somebody who is in PostgreSQL and loaded."""
    user = await enrol(MOBILE)
    async with Redis.from_url(env["REDIS_URL"]) as redis:
        made = Scripts(redis)
        await made.load(str(user.id))
        yield made
        await close_links()


@pytest.fixture
def modules(ctx: dict[str, Any]) -> Modules:
    """``modules.jobs`` and its neighbours."""
    return Modules()
