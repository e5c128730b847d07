"""A Redis or PostgreSQL that answers and cannot do the work: said at the start, in the log and by ``/ready``."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.support.fragile import Fragile
from tests.support.people import sign_up
from tests.support.stack import READY_SECONDS, ServerGroup, Stack
from tools.devstack.paths import socket_directory
from tools.devstack.probe import free_port
from tools.devstack.process import wait_until
from tools.devstack.valkey import Valkey


def _cluster(path: Path) -> Valkey:
    options = {"cluster-enabled": "yes", "port": str(free_port())}
    return Valkey(path / "valkey", socket_directory(path), appendonly=False, options=options)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Valkey]:
    """One node of a cluster."""
    server = _cluster(tmp_path / "cluster")
    try:
        server.start()
        yield server
    finally:
        server.stop()


async def _ready(group: ServerGroup, status: int, seconds: float = 20) -> dict[str, Any]:
    """What ``/ready`` says as soon as it has this status."""
    async with httpx.AsyncClient(base_url=group.url, timeout=10) as client, asyncio.timeout(seconds):
        while True:
            try:
                answer = await client.get("/ready")
            except httpx.TransportError:
                await asyncio.sleep(0.2)
                continue
            if answer.status_code == status:
                body: dict[str, Any] = answer.json()
                return body
            await asyncio.sleep(0.1)


async def test_a_redis_that_became_a_replica_is_not_ready_and_says_so(fragile: Fragile) -> None:
    group, logged = fragile.server, len(fragile.server.log_text())
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    a = await asha.open(group.ws_url)
    with Redis.from_url(fragile.valkey.url) as admin:
        admin.replicaof("127.0.0.1", str(free_port()))
        body = await _ready(group, 503)
        assert (body["code"], body["checks"]["redis"], body["checks"]["postgresql"]) == ("unavailable", False, True)
        assert "read-only replica" in body["detail"]
        assert (await a.chat(ravi, "refused"))["code"] == "unavailable"
        assert wait_until(lambda: "read-only replica" in group.log_text()[logged:], 5)
        admin.replicaof("NO", "ONE")
    assert (await _ready(group, 200))["checks"]["redis"] is True
    assert (await a.chat(ravi, "again"))["type"] == "sent"
    await a.end()


async def test_a_cluster_is_refused_at_the_start_in_one_sentence(stack: Stack, cluster: Valkey) -> None:
    group = stack.launch(workers=1, REDIS_URL=cluster.url)
    worker = stack.worker(REDIS_URL=cluster.url)
    jobs = stack.worker(ARQ_REDIS_URL=cluster.url)
    for child in (group.child, worker, jobs):
        assert wait_until(lambda child=child: not child.alive(), 20), "it runs"  # type: ignore[misc]
        words = child.log.read_text()
        assert words.count("Redis runs in cluster mode, which this product does not support") == 1, words
        assert "Traceback" not in words


async def test_a_redis_that_came_back_as_a_cluster_is_not_ready_and_says_so(fragile: Fragile, tmp_path: Path) -> None:
    group, logged = fragile.server, len(fragile.server.log_text())
    await asyncio.to_thread(fragile.valkey.stop)
    other = _cluster(tmp_path / "other")
    other._options["unixsocket"] = str(fragile.valkey.socket)
    other.socket = fragile.valkey.socket
    other.start()
    try:
        body = await _ready(group, 503)
        while "cluster mode" not in body.get("detail", ""):
            body = await _ready(group, 503)
        assert body["checks"]["redis"] is False
        assert wait_until(lambda: "cluster mode" in group.log_text()[logged:], 5)
    finally:
        other.stop()


async def test_a_database_without_the_schema_is_not_ready(stack: Stack, postgres_dsn: str) -> None:
    group = stack.launch(workers=1, DATABASE_URL=postgres_dsn)
    body = await _ready(group, 503, READY_SECONDS)
    while body["checks"]["doorbell"] is False:
        body = await _ready(group, 503)
    assert body["checks"] == {"redis": True, "postgresql": False, "doorbell": True, "memory": True}
    assert "models.migrate" in body["detail"]


async def test_a_read_only_postgresql_is_not_ready(fragile: Fragile) -> None:
    group = fragile.server
    for value, status in (("on", 503), ("off", 200)):
        await asyncio.to_thread(fragile.postgres.fetch, f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        await asyncio.to_thread(fragile.postgres.fetch, "SELECT pg_reload_conf()")
        body = await _ready(group, status)
        assert body["checks"]["postgresql"] is (status == 200)
        assert ("read-only" in body.get("detail", "")) is (status == 503)
