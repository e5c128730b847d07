"""Replies rest on what replicas have. Tried with a real master and a real replica, cut off, frozen, or promoted."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as Client

from delivery.presence import Holder
from delivery.redis.access import KeyValues
from delivery.redis.client import OnReply, RedisClient
from delivery.redis.replication import ReplicatedScripts
from delivery.scripts import WRITE
from protocol.errors import ApiError
from tests.support.messaging import ASHA, EVE, RAVI, OneServer, Row, make_settings, until
from tests.support.processes import patient
from tools.devstack.paths import socket_directory
from tools.devstack.probe import free_port
from tools.devstack.process import wait_until
from tools.devstack.valkey import Valkey

WAIT_SECONDS = 0.4
HOLDER = Holder(RAVI, "primary", "s1", "c1")


@dataclass
class Pair:
    """A master and its replica, each with a direct client."""

    master: Valkey
    replica: Valkey
    port: int
    clients: dict[str, Client] = field(default_factory=dict)

    def client(self, server: Valkey) -> Client:
        """A direct client."""
        return self.clients.setdefault(server.url, Client.from_url(server.url, decode_responses=True))

    def join(self) -> None:
        """Make the replica follow, and wait until it has caught up."""
        replica = self.client(self.replica)
        replica.replicaof("127.0.0.1", self.port)  # type: ignore[no-untyped-call]
        assert wait_until(lambda: replica.info("replication")["master_link_status"] == "up", 10)

    def cut(self) -> None:
        """Make the replica follow a master that does not exist."""
        self.client(self.replica).replicaof("127.0.0.1", free_port())  # type: ignore[no-untyped-call]
        assert wait_until(lambda: self.client(self.master).info("replication")["connected_slaves"] == 0, 10)

    def lead(self) -> None:
        """Promote the replica."""
        self.client(self.replica).replicaof("NO", "ONE")  # type: ignore[no-untyped-call]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    port = free_port()
    options = {"port": str(port), "bind": "127.0.0.1", "repl-diskless-sync-delay": "0"}
    master = Valkey(tmp_path / "1", socket_directory(tmp_path / "a"), appendonly=True, options=options)
    replica = Valkey(tmp_path / "2", socket_directory(tmp_path / "b"), appendonly=True)
    made = Pair(master, replica, port)
    try:
        for server in (master, replica):
            server.start()
        made.join()
        yield made
    finally:
        for client in made.clients.values():
            client.close()
        for server in (replica, master):
            server.stop()


Open = Callable[[], OneServer]


@pytest.fixture
async def open_server(pair: Pair) -> AsyncIterator[Open]:
    """Start one more server, whose connections have written nothing yet."""
    ends: list[RedisClient | ReplicatedScripts] = []

    def start() -> OneServer:
        options: dict[str, Any] = {"replicas_acked": 1, "replicas_seconds": WAIT_SECONDS, "redis_connect_seconds": 1}
        settings = make_settings(redis_url=pair.master.url, **options)
        link, replicated = RedisClient(settings), ReplicatedScripts(settings)
        ends.extend((replicated, link))
        return OneServer(link, durable=replicated, **options)

    yield start
    for end in ends:
        await end.close()


def written(server: OneServer, command: str, key: str, *words: str) -> Any:
    """A single command that waits for replicas."""
    assert server.durable is not None
    return KeyValues(server.link, server.durable).write_replicated(command, key, *words)


async def fails_in_time(answer: Any) -> None:
    """It fails with ``unavailable``, and soon."""
    began = time.monotonic()
    with pytest.raises(ApiError, match="unavailable"):
        await answer
    assert time.monotonic() - began < patient(2 * WAIT_SECONDS + 0.3)


def waiting(pair: Pair, server: Valkey) -> int:
    """Entries in Ravi's mailbox there."""
    found: Any = pair.client(server).xlen(f"mailbox:{{{RAVI}}}")
    return int(found)


async def test_the_replica_has_every_chat_that_was_answered(pair: Pair, open_server: Open) -> None:
    server = open_server()
    for number in range(1, 21):
        await server.send(ASHA, RAVI, f"m{number}")
        assert waiting(pair, pair.replica) == number


async def test_at_maxmemory_chats_fail_and_everything_else_is_stored_and_copied(pair: Pair, open_server: Open) -> None:
    server = open_server()
    await server.send(ASHA, RAVI, "m1")
    pair.client(pair.master).config_set("maxmemory", "1")
    with pytest.raises(ApiError, match="storage_full"):
        await server.send(ASHA, RAVI, "m2")
    assert await written(server, "SET", "session:1", "0") == b"OK"
    assert pair.client(pair.replica).get("session:1") in (b"0", "0")
    assert await server.mail.receipt(ASHA, RAVI, "delivered", ["m1"]) is not None
    pair.client(pair.master).config_set("maxmemory", "0")
    await server.send(ASHA, RAVI, "m2")


async def test_concurrent_requests_share_a_round_and_each_gets_its_own_reply(pair: Pair, open_server: Open) -> None:
    server = open_server()
    found = await asyncio.gather(*(server.send(ASHA, RAVI, f"m{number}") for number in range(200)))
    assert len(set(found)) == 200
    waits: Any = pair.client(pair.master).info("commandstats")
    assert waits["cmdstat_wait"]["calls"] < 20
    assert await server.send(ASHA, RAVI, "m7") == found[7]


async def test_what_is_requested_before_a_round_leaves_is_part_of_it(pair: Pair, open_server: Open) -> None:
    durable = open_server().durable
    assert isinstance(durable, ReplicatedScripts)
    await durable.call(WRITE, ["a"], ["SET", "1"])
    before: Any = pair.client(pair.master).info("commandstats")
    replies: list[Any] = []
    durable.before_flush = lambda: durable.request(WRITE, ["b"], ["SET", "2"], replies.append)
    first = durable.call(WRITE, ["a"], ["SET", "2"])
    await asyncio.sleep(0)
    durable.before_flush = lambda: None
    await first
    assert replies == [b"OK"]
    after: Any = pair.client(pair.master).info("commandstats")
    assert after["cmdstat_wait"]["calls"] == before["cmdstat_wait"]["calls"] + 1


async def test_a_failing_callback_before_a_round_does_not_hold_it_up(pair: Pair, open_server: Open) -> None:
    durable = open_server().durable
    assert isinstance(durable, ReplicatedScripts)

    def fail() -> None:
        raise ValueError

    durable.before_flush = fail
    assert await durable.call(WRITE, ["a"], ["SET", "1"]) == b"OK"


async def test_without_its_replica_chats_fail_in_time_and_succeed_when_it_is_back(
    pair: Pair, open_server: Open
) -> None:
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    pair.cut()
    await fails_in_time(server.send(ASHA, RAVI, "meanwhile"))
    assert not server.mailbox.durable.is_healthy
    await fails_in_time(asyncio.gather(*(server.send(ASHA, RAVI, f"m{number}") for number in range(50))))
    pair.join()
    await server.send(ASHA, RAVI, "meanwhile")
    assert server.mailbox.durable.is_healthy
    assert waiting(pair, pair.replica) == waiting(pair, pair.master)


async def test_a_request_during_a_round_that_fails_does_not_wait_for_another_round(
    pair: Pair, open_server: Open
) -> None:
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    pair.cut()
    first = asyncio.ensure_future(server.send(ASHA, RAVI, "first"))
    await asyncio.sleep(WAIT_SECONDS / 2)
    began = time.monotonic()
    await fails_in_time(server.send(ASHA, RAVI, "second"))
    assert time.monotonic() - began < patient(0.9 * WAIT_SECONDS)
    await fails_in_time(first)


async def test_a_retry_on_a_server_that_has_written_nothing_waits_as_well(pair: Pair, open_server: Open) -> None:
    """The answer comes from the dedupe record: this server's connection has written nothing that WAIT could count."""
    server, another = open_server(), open_server()
    await server.send(ASHA, RAVI, "before")
    pair.replica.pause()
    try:
        await fails_in_time(server.send(ASHA, RAVI, "mine"))
        await fails_in_time(another.send(ASHA, RAVI, "mine"))
    finally:
        pair.replica.resume()
    await until(lambda: waiting(pair, pair.replica) == 2)
    await another.send(ASHA, RAVI, "mine")
    assert waiting(pair, pair.master) == 2


async def test_nothing_that_a_failover_could_take_back_is_delivered(pair: Pair, open_server: Open) -> None:
    server = open_server()
    await server.people.load(RAVI)
    await server.presence.claim(HOLDER, server.rows[RAVI].account_id)
    await server.send(ASHA, RAVI, "before")
    pair.cut()
    await fails_in_time(server.send(ASHA, RAVI, "meanwhile"))
    await fails_in_time(server.mail.fetch(HOLDER, "new", 10))
    await fails_in_time(server.mail.receipt(ASHA, RAVI, "delivered", ["before"]))
    await fails_in_time(server.people.replace_rules(RAVI, Row(server.rows[RAVI].account_id, 1, {EVE: 1})))
    await fails_in_time(written(server, "SET", "session:1", "0"))
    pair.join()
    found = await server.mail.fetch(HOLDER, "pending", 10)
    assert [entry.message_id for entry in found.entries] == ["before", "meanwhile"]  # type: ignore[union-attr]


async def test_a_demoted_master_confirms_nothing(pair: Pair, open_server: Open) -> None:
    """What it stored is gone when it has followed the new one, whose replicas know nothing of it."""
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    pair.cut()
    answer = asyncio.ensure_future(server.send(ASHA, RAVI, "mine"))
    await asyncio.sleep(WAIT_SECONDS / 4)
    pair.client(pair.master).replicaof("127.0.0.1", free_port())
    await fails_in_time(answer)
    await fails_in_time(server.send(ASHA, RAVI, "mine"))


async def test_a_connection_that_breaks_fails_its_round_and_the_next_round_reconnects(
    pair: Pair, open_server: Open
) -> None:
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    pair.replica.pause()
    answer = asyncio.ensure_future(server.send(ASHA, RAVI, "mine"))
    await until(lambda: waiting(pair, pair.master) == 2)
    pair.client(pair.master).client_kill_filter(_type="normal", skipme=True)
    await fails_in_time(answer)
    pair.replica.resume()
    await server.send(ASHA, RAVI, "mine")
    assert waiting(pair, pair.replica) == 2


async def test_leases_and_loading_need_no_replica(pair: Pair, open_server: Open) -> None:
    server = open_server()
    pair.cut()
    await server.people.load(RAVI)
    claimed = await server.presence.claim(HOLDER, server.rows[RAVI].account_id)
    assert claimed.before is None


async def test_a_script_that_redis_forgot_is_answered_after_a_wait_of_its_own(pair: Pair, open_server: Open) -> None:
    """It runs again after the WAIT of its round was sent: that WAIT does not confirm it."""
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    pair.client(pair.master).script_flush()
    await server.send(ASHA, RAVI, "again")
    pair.client(pair.master).script_flush()
    pair.replica.pause()
    try:
        await fails_in_time(server.send(ASHA, RAVI, "meanwhile"))
    finally:
        pair.replica.resume()


async def test_a_wait_confirms_only_replies_of_its_own_connection(
    pair: Pair, open_server: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one may lead to another Redis."""
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    assert isinstance(server.durable, ReplicatedScripts)
    client = server.durable._client
    request = client.request

    def request_and_lose(script: Any, keys: Any, args: Any, on_reply: OnReply) -> None:
        def lose(reply: Any) -> None:
            assert client._connection is not None
            client._connection.abort()
            on_reply(reply)

        request(script, keys, args, lose)

    pair.client(pair.master).script_flush()  # so that the reply comes after its round's WAIT, and wants another
    with monkeypatch.context() as patched:
        patched.setattr(client, "request", request_and_lose)
        await fails_in_time(server.send(ASHA, RAVI, "mine"))
    await server.send(ASHA, RAVI, "mine")
    assert waiting(pair, pair.replica) == 2


async def test_without_waiting_a_failover_loses_chats_that_were_answered(pair: Pair, open_server: Open) -> None:
    """With REPLICAS_ACKED=0: the reason for all this."""
    server = open_server()
    hasty = OneServer(server.link)
    await hasty.send(ASHA, RAVI, "before")
    pair.cut()
    await hasty.send(ASHA, RAVI, "lost")
    pair.master.kill()
    pair.lead()
    assert waiting(pair, pair.replica) == 1
