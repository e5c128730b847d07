"""Entries on their way to a client and back, between a socket made by hand and a real Redis."""

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery.redis.client import RedisClient
from delivery.scripts import FETCH
from delivery.session.acknowledgements import CONFIRM_SECONDS
from protocol.dialects import V1, Seed
from protocol.entries import Chat
from tests.support.messaging import ASHA, EVE, RAVI, HandConnection, Held, ashas_connection, until
from tools.devstack.valkey import Valkey

LEASES, DEAD_LETTERS = f"leases:{{{RAVI}}}", f"parked:{{{RAVI}}}"
DIALECTS = pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])


class Clumsy(V1):
    """Cannot encode one chat."""

    def chat(self, chat: Chat, to: str, mode: Any) -> list[bytes]:
        if chat.message_id == "poison":
            raise ValueError("cannot encode this")
        return super().chat(chat, to, mode)


async def pending(redis: "Redis") -> int:
    """How many entries Ravi's one device has fetched and not settled."""
    (group,) = await redis.xinfo_groups(f"mailbox:{{{RAVI}}}")
    return int(group["pending"])


# ---- entries


async def test_each_entry_comes_once_and_in_order(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    for n in range(50):
        await one.server.send(ASHA, RAVI, f"m-{n}")
    await until(lambda: len(one.chats()) == 50)
    one.connection.notify("")
    await asyncio.sleep(0.1)
    assert one.chats() == [f"m-{n}" for n in range(50)]


async def test_entries_for_a_client_that_does_not_read_stay_in_the_mailbox(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    one.socket.stop_reading()
    for n in range(3):
        await one.server.send(ASHA, RAVI, f"m-{n}")
        await asyncio.sleep(0.05)
    assert one.chats() == []
    assert await pending(redis) == 1, "no more than one fetch is taken into our own hands"
    one.socket.read_on()
    await until(lambda: len(one.chats()) == 3)


async def test_a_ping_that_confirms_receipts_waits_behind_them(redis: "Redis") -> None:
    one = await HandConnection(redis, Seed()).begin()
    one.socket.stop_reading()
    await one.server.send_receipt(RAVI, ASHA, ["x-1"])
    await asyncio.sleep(0.1)
    assert (one.socket.of("ack"), one.socket.pings) == ([], 0)
    one.socket.read_on()
    assert len(one.socket.of("ack")) == 1
    await until(lambda: one.socket.pings == 1)
    one.connection.handle_pong(1)
    await until(lambda: one.has_waiting(0))


async def test_receipts_of_a_seed_client_leave_when_a_pong_answers_a_later_ping(redis: "Redis") -> None:
    one = await HandConnection(redis, Seed()).begin()
    ids = []
    for n in range(2):
        ids.append(await one.server.send_receipt(RAVI, ASHA, [f"x-{n}"]))
        await until(lambda n=n: len(one.socket.of("ack")) == n + 1)  # type: ignore[misc]
        await until(lambda: one.socket.pings == 1)
    await asyncio.sleep(CONFIRM_SECONDS * 1.5)
    assert one.socket.pings == 1, "one such ping at a time"
    one.connection.handle_pong(0)
    await asyncio.sleep(0.1)
    assert await one.has_waiting(2), "that pong answers an earlier ping"
    one.connection.handle_pong(1)
    await until(lambda: one.has_waiting(1))
    await until(lambda: one.socket.pings == 2)
    assert [entry.stream_id for entry in await one.server.entries(RAVI)] == ids[1:]
    one.connection.handle_pong(2)
    await until(lambda: one.has_waiting(0))
    assert (one.socket.pings, await one.server.receipts()) == (2, [])


async def test_a_v1_client_acknowledges_its_receipts_itself(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    stream_id = await one.server.send_receipt(RAVI, ASHA, ["x-1"])
    await until(lambda: one.socket.of("ack"))
    one.connection.handle_pong(5)
    await asyncio.sleep(0.1)
    assert one.socket.pings == 0
    assert await one.has_waiting(1)
    one.ack(stream_id)
    await until(lambda: one.has_waiting(0))
    assert await one.server.receipts() == [], "a receipt begets none"


async def test_an_entry_our_own_code_fails_on_is_counted_and_holds_up_none_behind_it(redis: "Redis") -> None:
    for failures in (1, 2):
        one = HandConnection(redis, Clumsy(), park_after=2)
        await one.server.send(ASHA, RAVI, "poison")
        with capture_logs() as logs:
            await one.begin()
            one.connection.notify("")
            await one.hear(f"fine-{failures}")
        dead = [line["failures"] for line in logs if line["event"] == "an entry is a dead letter"]
        assert (dead, one.chats()) == ([2] if failures == 2 else [], [f"fine-{failures}"])
        assert list((await redis.hgetall(DEAD_LETTERS)).values()) == [str(failures).encode()]  # type: ignore[misc]
        assert "hello" not in str(logs)
        one.ack(one.socket.of("chat")[0]["streamId"])
        one.connection.handle_lost(1000, "")
        await one.over()


async def test_after_the_end_nothing_more_is_fetched(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    one.connection.handle_lost(1000, "")
    await one.over()
    await one.server.send(ASHA, RAVI, "m-1")
    one.connection.notify("")
    one.connection.prefetch()
    await asyncio.sleep(0.1)
    assert (one.chats(), await pending(redis)) == ([], 0)


async def test_an_entry_that_is_acknowledged_before_it_is_fetched_again_is_not_sent_again(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await HandConnection(redis, redeliver_seconds=0.05).begin()
    ids = [await one.hear(f"m-{n}") for n in range(3)]
    await asyncio.sleep(0.1)
    fetches = Held(monkeypatch, "fetch")
    one.connection.tick(time.monotonic())
    assert [call[1] for call in fetches.calls] == ["again"]
    one.ack(*ids[:2])
    await until(one.server.receipts)
    fetches.release()
    await until(lambda: len(one.chats()) > 3)
    assert one.chats()[3:] == ["m-2"]


async def test_an_entry_that_stays_unacknowledged_comes_again_so_many_times(redis: "Redis") -> None:
    one = await HandConnection(redis, redeliver_seconds=0.05, redeliver_times=2).begin()
    await one.hear("m-1")

    def tick() -> int:
        one.connection.tick(time.monotonic())
        return len(one.chats())

    await until(lambda: tick() == 3)
    await asyncio.sleep(0.15)
    assert len({frame["streamId"] for frame in one.socket.of("chat")}) == 1
    assert tick() == 3


async def test_a_window_that_nobody_empties_ends_the_connection(redis: "Redis") -> None:
    one = await HandConnection(redis, window=2, stuck_window_seconds=5, redeliver_seconds=60).begin()
    for n in range(3):
        await one.server.send(ASHA, RAVI, f"m-{n}")
    await until(lambda: len(one.chats()) == 2)
    one.connection.tick(time.monotonic() + 4)
    assert one.socket.closes == []
    one.connection.tick(time.monotonic() + 6)
    assert one.socket.codes() == [4001]


async def test_an_ack_kept_from_before_a_cut_counts_for_the_entry_when_it_is_fetched(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    ids = [await one.hear("m-1"), await one.hear("m-2")]
    one.connection.handle_lost(1006, "")
    await one.over()
    again = HandConnection(one.server)
    again.frame(type="ack", ackType="delivered", streamIds=ids[:1])  # early: before the lease is claimed
    await again.begin()
    await until(lambda: again.has_waiting(1))
    assert (again.chats(), await one.server.receipts()) == (["m-2"], [(RAVI, "delivered", ["m-1"])])


# ---- prefetches


class Deaf(HandConnection):
    """Nobody is notified: what arrives was fetched because it was expected."""

    async def begin(self) -> "Deaf":
        # A script that Redis does not know yet is given to it, and run behind the fetch that was to follow it.
        await self.server.send(RAVI, ASHA, "m-0")
        await self.server.send_receipt(EVE, RAVI, ["m-0"])
        await super().begin()
        self.server.hub.notify = lambda mobile, stream_id: None  # type: ignore[method-assign]
        return self


async def test_entries_for_somebody_who_is_connected_here_come_with_their_own_storing(redis: "Redis") -> None:
    one = await Deaf(redis).begin()
    asha = await ashas_connection(one)
    asha.say("m-1", to=RAVI)
    await until(lambda: one.chats() == ["m-1"])
    one.say("m-2")
    await until(lambda: "m-2" in asha.chats())
    asha.ack(next(frame["streamId"] for frame in asha.socket.of("chat") if frame["messageId"] == "m-2"))
    await until(lambda: one.socket.of("ack"))
    assert one.socket.of("ack")[0]["messageIds"] == ["m-2"]


async def test_a_first_receipt_arrives_though_redis_must_be_given_its_script_first(own_link: RedisClient) -> None:
    """The fetch that was to follow the receipt runs before it then and finds no mailbox, since its owner never received
    anything. The notification makes up for it."""
    one = await HandConnection(own_link).begin()
    asha = await ashas_connection(one)
    asha.say("m-1", to=RAVI)
    await until(lambda: one.chats() == ["m-1"])
    await own_link.command("SCRIPT", "FLUSH")
    await own_link.command("SCRIPT", "LOAD", FETCH.text)
    one.ack(one.socket.of("chat")[0]["streamId"])
    await until(lambda: asha.socket.of("ack"))


async def test_what_is_stored_while_a_fetch_is_under_way_is_fetched_after_it(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await Deaf(redis).begin()
    asha = await ashas_connection(one)
    fetches = Held(monkeypatch, "fetch")
    for n in range(3):
        asha.say(f"m-{n}", to=RAVI)
        await asyncio.sleep(0.02)
    ravis = [call for call in fetches.calls if call[0].mobile == RAVI]
    assert len(ravis) == 1
    fetches.release()
    await until(lambda: one.chats() == ["m-0", "m-1", "m-2"])


async def test_a_notification_of_an_entry_that_was_prefetched_fetches_nothing_more(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await HandConnection(redis).begin()
    await one.hear("m-0")
    asha = await ashas_connection(one)
    fetches = Held(monkeypatch, "fetch")
    fetches.release()
    asha.say("m-1", to=RAVI)
    await until(lambda: len(one.chats()) == 2)
    await asyncio.sleep(0.05)
    assert [call[1] for call in fetches.calls if call[0].mobile == RAVI] == ["new"]


async def test_without_redis_nothing_is_prefetched(
    own_link: RedisClient, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await HandConnection(own_link).begin()
    asha = await ashas_connection(one)
    fetches = Held(monkeypatch, "fetch")
    await asyncio.to_thread(own_valkey.kill)
    await until(lambda: not one.server.mailbox.durable.is_healthy)
    asha.say("m-1", to=RAVI)
    await until(lambda: asha.socket.of("error"))
    assert fetches.calls == []
