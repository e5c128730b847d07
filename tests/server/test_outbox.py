import asyncio
from typing import Any

from server.outbox import LOW_BYTES, UNSENT_BYTES, Outbox


class Wire:
    """Records what is written, and takes more or not as the test says."""

    def __init__(self) -> None:
        self.machine: Any = self
        self.open = True
        self.can_write = asyncio.Event()
        self.can_write.set()
        self.written: list[bytes] = []
        self.writes = 0

    @property
    def writable(self) -> bool:
        return self.can_write.is_set()

    async def writable_again(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await self.can_write.wait()

    def send_ping(self, data: bytes) -> None:
        self.written.append(b"ping " + data)

    def send_text(self, data: bytes) -> None:
        self.written.append(data)

    def write(self) -> None:
        self.writes += 1


def make(write_seconds: float = 5) -> tuple[Wire, Outbox, list[str]]:
    wire, told = Wire(), []
    flushed, stuck = (lambda: told.append("flushed")), (lambda: told.append("stuck"))
    return wire, Outbox(wire, write_seconds, flushed, stuck), told  # type: ignore[arg-type]


async def test_texts_and_pings_leave_in_order_at_the_end_of_the_tick() -> None:
    wire, outbox, told = make()
    outbox.put(b"one")
    outbox.put(7)
    outbox.put(b"two")
    assert (wire.written, outbox.unsent, outbox.mark_written) == ([], 6, 0)
    await asyncio.sleep(0)
    assert wire.written == [b"one", b"ping " + (7).to_bytes(8, "big"), b"two"]
    assert (outbox.unsent, outbox.mark_written, told) == (0, 7, ["flushed"])


async def test_a_blocked_wire_is_waited_for_by_one_task_and_then_order_is_kept() -> None:
    wire, outbox, told = make()
    wire.can_write.clear()
    before = len(asyncio.all_tasks())
    for number in range(5):
        outbox.put(b"%d" % number)
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before + 1
    assert told == []
    wire.can_write.set()
    await asyncio.sleep(0.01)
    assert wire.written == [b"0", b"1", b"2", b"3", b"4"]
    assert told == ["flushed"]
    assert len(asyncio.all_tasks()) == before


async def test_a_wire_blocked_too_long_is_told_once() -> None:
    wire, outbox, told = make(write_seconds=0.05)
    wire.can_write.clear()
    outbox.put(b"x")
    await asyncio.sleep(0.2)
    assert told == ["stuck"]


async def test_drained_and_overfull_follow_what_waits() -> None:
    wire, outbox, _ = make()
    wire.can_write.clear()
    outbox.put(b"x" * LOW_BYTES)
    await asyncio.wait_for(outbox.drained(), 1)
    outbox.put(b"x")
    waiting = asyncio.ensure_future(outbox.drained())
    outbox.put(b"x" * (UNSENT_BYTES - LOW_BYTES - 1))
    await asyncio.sleep(0)
    assert not outbox.overfull
    assert not waiting.done()
    outbox.put(b"x")
    assert outbox.overfull
    outbox.drop()
    await asyncio.wait_for(waiting, 1)
    assert outbox.unsent == 0


async def test_nothing_is_written_to_a_wire_that_closed() -> None:
    wire, outbox, _ = make()
    outbox.put(b"x")
    wire.open = False
    await asyncio.sleep(0)
    assert (wire.written, outbox.unsent) == ([], 0)
