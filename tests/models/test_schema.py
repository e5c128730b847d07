"""What the tables themselves refuse, and that none has a place for a chat."""

import re
import uuid
from datetime import UTC, datetime

import asyncpg
import pytest

ADD_USER = "INSERT INTO users (id, mobile_no, name, password_hash, created_at) VALUES ($1, $2, 'Asha', '-', now())"
ADD_BLOCK = "INSERT INTO blocks (blocker_id, blocked_id, created_at) VALUES ($1, $2, now())"


async def test_numbers_and_blocks_are_unique_and_people_take_theirs_with_them(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    asha, bela = uuid.uuid4(), uuid.uuid4()
    await connection.execute(ADD_USER, asha, "919800000001")
    await connection.execute(ADD_USER, bela, "919800000002")
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(ADD_USER, uuid.uuid4(), "919800000001")
    with pytest.raises(asyncpg.StringDataRightTruncationError):
        await connection.execute(ADD_USER, uuid.uuid4(), "9" * 16)
    assert await connection.fetchval("SELECT blocks_version FROM users WHERE id = $1", asha) == 0
    await connection.execute(ADD_BLOCK, asha, bela)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(ADD_BLOCK, asha, bela)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(ADD_BLOCK, asha, uuid.uuid4())
    event = "INSERT INTO session_events (mobile_no, kind, at, user_id) VALUES ('919800000002', 'login', $1, $2)"
    await connection.execute(event, datetime.now(UTC), bela)
    await connection.execute("DELETE FROM users WHERE id = $1", bela)
    assert await connection.fetchval("SELECT count(*) FROM blocks") == 0
    assert [
        tuple(row) for row in await connection.fetch("SELECT user_id, mobile_no, server_id FROM session_events")
    ] == [(None, "919800000002", "")]
    await connection.close()


async def test_no_column_could_hold_a_chat(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "SELECT table_name, column_name, CASE data_type WHEN 'ARRAY' THEN udt_name ELSE data_type END AS data_type,"
        " character_maximum_length AS size FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name <> 'tortoise_migrations'"
    )
    await connection.close()
    others = {"bigint", "integer", "boolean", "uuid", "timestamp with time zone", "_uuid"}
    texts = [row for row in rows if row["data_type"] not in others]
    assert texts
    for row in texts:
        assert row["data_type"] == "character varying", row["column_name"]
        assert row["size"] <= 255
        assert not re.search("message|text|body|chat", row["column_name"])


async def test_last_seen_is_found_by_index(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("SET enable_seqscan = off")
    plan = await connection.fetch(
        "EXPLAIN SELECT at FROM session_events WHERE mobile_no = '919800000001' AND kind = 'disconnect'"
        " ORDER BY at DESC LIMIT 1"
    )
    await connection.close()
    assert any("session_events_mobile_at" in row[0] for row in plan)
