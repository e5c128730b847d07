"""What becomes of entries that were read: frames, in flight, or left aside."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery.connection.handover import NOTHING, Handover, Said
from delivery.in_flight import Flights
from delivery.presence import Holder
from protocol.dialects import V1, Dialect, Seed
from protocol.entries import Chat, Entry, Receipt
from tests.delivery.one_server import ASHA, RAVI, OneServer

HOLDER = Holder(RAVI, "primary", "s1", "c1")
PARKED = f"parked:{{{RAVI}}}"


class Clumsy(V1):
    """Cannot say one chat."""

    def chat(self, chat: Chat, to: str, mode: Any) -> list[bytes]:
        if chat.message_id == "poison":
            raise ValueError("cannot say this")
        return super().chat(chat, to, mode)


class Exit:
    """Notes what leaves, in which order."""

    def __init__(self) -> None:
        self.left: list[Any] = []

    async def carry(self, frames: Sequence[bytes]) -> None:
        self.left += [json.loads(frame)["type"] for frame in frames]

    def confirm(self, receipts: Sequence[str]) -> None:
        self.left += receipts


def chat(number: int, message_id: str = "") -> Chat:
    return Chat(f"5-{number}", ASHA, message_id or f"m-{number}", "hello")


def receipt(number: int) -> Receipt:
    return Receipt(f"5-{number}", ASHA, "delivered", [f"x-{number}"])


def handover(redis: "Redis", dialect: Dialect | None = None, park_after: int = 2) -> Handover:
    mailbox = OneServer(redis).mailbox
    return Handover(Exit(), HOLDER, mailbox, dialect or V1(), Flights(10), park_after)


def modes(said: Said) -> list[str]:
    return [json.loads(frame)["mode"] for frame in said.frames]


async def test_what_waited_at_the_boundary_or_before_is_counted_and_said_to_be_offline(redis: "Redis") -> None:
    one = handover(redis)
    assert (one.boundary, one.waited) == (NOTHING, 0)
    one.boundary = (5, 2)
    said = one.say([chat(1), chat(2), chat(3)], again=False)
    assert modes(said) == ["offline", "offline", "online"]
    assert (one.waited, said.latest) == (2, (5, 3))


async def test_what_is_said_again_is_counted_once_and_only_while_it_is_unacked(redis: "Redis") -> None:
    one = handover(redis)
    one.boundary = (5, 9)
    one.say([chat(1), chat(2)], again=False)
    assert one.say([chat(1), chat(2)], again=False).frames == [], "they are on their way"
    one._flights.ack(["5-2"])
    assert len(one.say([chat(1), chat(2), chat(3)], again=True).frames) == 1
    assert one.waited == 2


@pytest.mark.parametrize(("dialect", "confirming"), [(Seed(), ["5-2"]), (V1(), [])], ids=["seed", "wm.v1"])
async def test_only_receipts_and_only_of_who_does_not_ack_them_are_confirmed(
    redis: "Redis", dialect: Dialect, confirming: list[str]
) -> None:
    entries: list[Entry] = [chat(1), receipt(2)]
    said = handover(redis, dialect).say(entries, again=False)
    assert (said.receipts, said.failed) == (confirming, [])


async def test_frames_leave_before_their_receipts_are_confirmed(redis: "Redis") -> None:
    one = handover(redis, Seed())
    await one.finish(one.say([chat(1), receipt(2)], again=False))
    assert isinstance(one._exit, Exit)
    assert one._exit.left == ["chat", "ack", "5-2"]


async def test_what_our_own_code_cannot_say_is_counted_and_tried_once_on_a_connection(redis: "Redis") -> None:
    one = handover(redis, Clumsy())
    with capture_logs() as logs:
        said = one.say([chat(1, "poison"), chat(2)], again=False)
        await one.finish(said)
        assert (said.failed, len(said.frames)) == (["5-1"], 1)
        assert one.say([chat(1, "poison")], again=False) == Said([], [], [], NOTHING, [])
    assert await redis.hgetall(PARKED) == {b"5-1": b"1"}  # type: ignore[misc]
    assert [entry["event"] for entry in logs] == ["an entry could not be said"]
    assert "hello" not in str(logs)


async def test_what_failed_on_several_connections_is_said_to_be_parked(redis: "Redis") -> None:
    for failures in (1, 2):
        one = handover(redis, Clumsy(), park_after=2)
        with capture_logs() as logs:
            await one.finish(one.say([chat(1, "poison")], again=False))
        parked = [entry["failures"] for entry in logs if entry["event"] == "an entry is parked"]
        assert parked == ([] if failures == 1 else [2])
