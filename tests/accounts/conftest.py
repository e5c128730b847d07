"""Real PostgreSQL for the rooms of accounts, without a server around."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from tortoise.context import TortoiseContext

from accounts.passwords import Passwords
from models import User
from settings.database import tortoise_orm

Enrol = Callable[[str], Awaitable[User]]


@pytest.fixture
async def orm(database_url: str) -> AsyncIterator[str]:
    """An empty PostgreSQL behind the models; its URL."""
    async with TortoiseContext() as context:
        await context.init(config=tortoise_orm(database_url))
        yield database_url


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """Cheap hashes."""
    made = Passwords(4, 2, 16)
    yield made
    made.close()


@pytest.fixture
def enrol(orm: str) -> Enrol:
    """Adds a person without the cost of a hash."""

    async def add(mobile: str) -> User:
        return await User.create(id=uuid.uuid4(), mobile_no=mobile, name=f"Person {mobile[-1]}", password_hash="-")

    return add
