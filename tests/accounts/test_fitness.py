"""Whether PostgreSQL has this version's schema and takes writes. (Read-only: tests/journeys.)"""

import pytest
from tortoise.connection import get_connection

from accounts import fitness


@pytest.mark.usefixtures("orm")
async def test_a_migrated_database_is_fit() -> None:
    assert "0001_initial" in fitness.needed_migrations()
    assert await fitness.fault() == ""


@pytest.mark.usefixtures("orm")
@pytest.mark.parametrize(
    "damage", ["DROP TABLE tortoise_migrations", "DELETE FROM tortoise_migrations WHERE name = '0001_initial'"]
)
async def test_one_whose_migrations_were_not_applied_is_not(damage: str) -> None:
    await get_connection("default").execute_script(damage)
    assert await fitness.fault() == fitness.NO_SCHEMA


@pytest.mark.usefixtures("orm")
async def test_one_that_is_ahead_of_this_version_is_fit() -> None:
    await get_connection("default").execute_script(
        "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('models', '9999_later', now())"
    )
    assert await fitness.fault() == ""
