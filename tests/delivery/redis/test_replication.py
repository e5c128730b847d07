"""What is told rests on what replicas have: a real master and a real replica, cut off, frozen, or leading."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as Client

from delivery.presence import Holder
from delivery.redis.client import RedisClient
from delivery.redis.key_values import KeyValues
from delivery.redis.replication import Replicated
from protocol.errors import ApiError
from tests.delivery.one_server import ASHA, EVE, RAVI, OneServer, make_settings, until
from tools.devstack.places import socket_directory
from tools.devstack.probe import free_port
from tools.devstack.process import wait_until
from tools.devstack.valkey import Valkey

WAIT_SECONDS = 0.4
HOLDER = Holder(RAVI, "primary", "s1", "c1")


@dataclass
class Pair:
    """A master and its replica, each of which can be asked directly."""

    master: Valkey
    replica: Valkey
    port: int
    clients: dict[str, Client] = field(default_factory=dict)

    def client(self, server: Valkey) -> Client:
        """Straight to it."""
        return self.clients.setdefault(server.url, Client.from_url(server.url, decode_responses=True))

    def join(self) -> None:
        """The replica follows, and has caught up."""
        replica = self.client(self.replica)
        replica.replicaof("127.0.0.1", self.port)  # type: ignore[no-untyped-call]
        assert wait_until(lambda: replica.info("replication")["master_link_status"] == "up", 10)

    def cut(self) -> None:
        """The replica follows nobody that is there."""
        self.client(self.replica).replicaof("127.0.0.1", free_port())  # type: ignore[no-untyped-call]
        assert wait_until(lambda: self.client(self.master).info("replication")["connected_slaves"] == 0, 10)

    def lead(self) -> None:
        """The replica is a master from now on."""
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
    """Starts one more server, whose connections have written nothing yet."""
    ends: list[RedisClient | Replicated] = []

    def start() -> OneServer:
        knobs: dict[str, Any] = {"replicas_acked": 1, "replicas_seconds": WAIT_SECONDS, "redis_connect_seconds": 1}
        settings = make_settings(redis_url=pair.master.url, **knobs)
        link, replicated = RedisClient(settings), Replicated(settings)
        ends.extend((replicated, link))
        return OneServer(link, durable=replicated, **knobs)

    yield start
    for end in ends:
        await end.close()


def written(server: OneServer, command: str, key: str, *words: str) -> Any:
    """A single command that waits."""
    return KeyValues(server.link, server.durable).write_surely(command, key, *words)


async def refused_in_time(answer: Any) -> None:
    """It is refused as ``unavailable``, and soon."""
    began = time.monotonic()
    with pytest.raises(ApiError, match="unavailable"):
        await answer
    assert time.monotonic() - began < 2 * WAIT_SECONDS + 0.3


def waiting(pair: Pair, server: Valkey) -> int:
    """Entries in Ravi's mailbox there."""
    found: Any = pair.client(server).xlen(f"mailbox:{{{RAVI}}}")
    return int(found)


async def test_what_is_sent_the_replica_has(pair: Pair, open_server: Open) -> None:
    server = open_server()
    for number in range(1, 21):
        await server.send(ASHA, RAVI, f"m{number}")
        assert waiting(pair, pair.replica) == number


async def test_at_maxmemory_chats_are_refused_and_the_rest_is_taken_and_copied(pair: Pair, open_server: Open) -> None:
    server = open_server()
    await server.send(ASHA, RAVI, "m1")
    pair.client(pair.master).config_set("maxmemory", "1")
    with pytest.raises(ApiError, match="storage_full"):
        await server.send(ASHA, RAVI, "m2")
    assert await written(server, "SET", "session:1", "0") == b"OK"
    assert pair.client(pair.replica).get("session:1") in (b"0", "0")
    assert await server.mailbox.deposit_receipt(ASHA, RAVI, "delivered", ["m1"]) is not None
    pair.client(pair.master).config_set("maxmemory", "0")
    await server.send(ASHA, RAVI, "m2")


async def test_many_at_once_share_a_round_and_each_gets_his_own_answer(pair: Pair, open_server: Open) -> None:
    server = open_server()
    found = await asyncio.gather(*(server.send(ASHA, RAVI, f"m{number}") for number in range(200)))
    assert len(set(found)) == 200
    waits: Any = pair.client(pair.master).info("commandstats")
    assert waits["cmdstat_wait"]["calls"] < 20
    assert await server.send(ASHA, RAVI, "m7") == found[7]


async def test_a_replica_that_is_cut_off_refuses_chats_in_time_and_they_are_sent_when_it_is_back(
    pair: Pair, open_server: Open
) -> None:
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    pair.cut()
    await refused_in_time(server.send(ASHA, RAVI, "meanwhile"))
    assert not server.mailbox.at_ease
    await refused_in_time(asyncio.gather(*(server.send(ASHA, RAVI, f"m{number}") for number in range(50))))
    pair.join()
    await server.send(ASHA, RAVI, "meanwhile")
    assert server.mailbox.at_ease
    assert waiting(pair, pair.replica) == waiting(pair, pair.master)


async def test_whoever_asks_while_a_round_waits_in_vain_does_not_wait_for_another(
    pair: Pair, open_server: Open
) -> None:
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    pair.cut()
    first = asyncio.ensure_future(server.send(ASHA, RAVI, "first"))
    await asyncio.sleep(WAIT_SECONDS / 2)
    began = time.monotonic()
    await refused_in_time(server.send(ASHA, RAVI, "second"))
    assert time.monotonic() - began < 0.9 * WAIT_SECONDS
    await refused_in_time(first)


async def test_a_retry_on_a_server_that_has_written_nothing_waits_as_well(pair: Pair, open_server: Open) -> None:
    """It is answered from the record, and what one's own connection wrote is nothing that could be waited for."""
    server, another = open_server(), open_server()
    await server.send(ASHA, RAVI, "before")
    pair.replica.pause()
    try:
        await refused_in_time(server.send(ASHA, RAVI, "mine"))
        await refused_in_time(another.send(ASHA, RAVI, "mine"))
    finally:
        pair.replica.resume()
    await until(lambda: waiting(pair, pair.replica) == 2)
    await another.send(ASHA, RAVI, "mine")
    assert waiting(pair, pair.master) == 2


async def test_nothing_is_handed_out_that_a_failover_could_take_back(pair: Pair, open_server: Open) -> None:
    server = open_server()
    await server.people.load(RAVI)
    await server.presence.claim(HOLDER, server.rows[RAVI].account_id)
    await server.send(ASHA, RAVI, "before")
    pair.cut()
    await refused_in_time(server.send(ASHA, RAVI, "meanwhile"))
    await refused_in_time(server.mailbox.collect(HOLDER, "new", 10))
    await refused_in_time(server.messenger.acknowledge(HOLDER, ASHA, ["before"]))
    await refused_in_time(server.people.replace_blocks(RAVI, server.rows[RAVI].account_id, 1, [EVE]))
    await refused_in_time(written(server, "SET", "session:1", "0"))
    pair.join()
    found = await server.mailbox.collect(HOLDER, "pending", 10)
    assert [entry.message_id for entry in found.entries] == ["before", "meanwhile"]  # type: ignore[union-attr]


async def test_a_master_that_was_demoted_says_nothing(pair: Pair, open_server: Open) -> None:
    """What it stored is gone when it has followed the new one, whose replicas know nothing of it."""
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    pair.cut()
    answer = asyncio.ensure_future(server.send(ASHA, RAVI, "mine"))
    await asyncio.sleep(WAIT_SECONDS / 4)
    pair.client(pair.master).replicaof("127.0.0.1", free_port())
    await refused_in_time(answer)
    await refused_in_time(server.send(ASHA, RAVI, "mine"))


async def test_a_connection_that_breaks_in_a_round_refuses_it_and_the_next_has_a_new_one(
    pair: Pair, open_server: Open
) -> None:
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    pair.replica.pause()
    answer = asyncio.ensure_future(server.send(ASHA, RAVI, "mine"))
    await until(lambda: waiting(pair, pair.master) == 2)
    pair.client(pair.master).client_kill_filter(_type="normal", skipme=True)
    await refused_in_time(answer)
    pair.replica.resume()
    await server.send(ASHA, RAVI, "mine")
    assert waiting(pair, pair.replica) == 2


async def test_leases_and_loading_need_no_replica(pair: Pair, open_server: Open) -> None:
    server = open_server()
    pair.cut()
    await server.people.load(RAVI)
    claimed = await server.presence.claim(HOLDER, server.rows[RAVI].account_id)
    assert claimed.before is None


async def test_a_script_that_redis_forgot_is_answered_when_the_replica_has_it(pair: Pair, open_server: Open) -> None:
    """It is given again after the WAIT of its round was sent: that WAIT does not speak for it."""
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    pair.client(pair.master).script_flush()
    await server.send(ASHA, RAVI, "again")
    pair.client(pair.master).script_flush()
    pair.replica.pause()
    try:
        await refused_in_time(server.send(ASHA, RAVI, "meanwhile"))
    finally:
        pair.replica.resume()


async def test_what_one_connection_brought_no_wait_on_another_speaks_for(
    pair: Pair, open_server: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one may lead to another Redis."""
    server = open_server()
    await server.send(ASHA, RAVI, "before")
    assert isinstance(server.durable, Replicated)
    link = server.durable._link
    ask = link.ask

    def ask_and_lose(script: Any, keys: Any, args: Any, heard: Callable[[Any], None]) -> None:
        def lose(reply: Any) -> None:
            assert link._line is not None
            link._line.abort()
            heard(reply)

        ask(script, keys, args, lose)

    pair.client(pair.master).script_flush()  # so that the reply comes after its round's WAIT, and wants another
    with monkeypatch.context() as patched:
        patched.setattr(link, "ask", ask_and_lose)
        await refused_in_time(server.send(ASHA, RAVI, "mine"))
    await server.send(ASHA, RAVI, "mine")
    assert waiting(pair, pair.replica) == 2


async def test_without_waiting_a_failover_loses_what_was_sent(pair: Pair, open_server: Open) -> None:
    """The reason for all this: k=0."""
    server = open_server()
    hasty = OneServer(server.link)
    await hasty.send(ASHA, RAVI, "before")
    pair.cut()
    await hasty.send(ASHA, RAVI, "lost")
    pair.master.kill()
    pair.lead()
    assert waiting(pair, pair.replica) == 1
