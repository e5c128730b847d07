import asyncio

from protocol.websocket import writer
from server.outgoing import LOW_BYTES, PIECE_BYTES, UNSENT_BYTES, Outgoing


class Transport:
    """Records what is written, and blocks above a piece if the test says so."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False
        self.blocks: Outgoing | None = None

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if self.blocks is not None:
            self.blocks.pause()


def make(write_seconds: float = 5) -> tuple[Transport, Outgoing, list[str]]:
    transport, told = Transport(), []
    flushed, stuck = (lambda: told.append("flushed")), (lambda: told.append("stuck"))
    return transport, Outgoing(transport, write_seconds, flushed, stuck), told  # type: ignore[arg-type]


def ping(mark: int) -> bytes:
    return writer.ping(mark.to_bytes(8, "big"))


async def test_what_one_tick_queues_is_one_write_in_order() -> None:
    transport, outgoing, told = make()
    outgoing.put(b"one")
    outgoing.put_ping(7)
    outgoing.put(b"two")
    assert (transport.written, outgoing.unsent, outgoing.mark_written) == ([], 16, 0)
    await asyncio.sleep(0)
    assert transport.written == [b"one" + ping(7) + b"two"]
    assert (outgoing.unsent, outgoing.mark_written, told) == (0, 7, ["flushed"])


async def test_much_in_one_tick_leaves_at_once_and_may_be_more_than_a_slow_client_is_allowed() -> None:
    transport, outgoing, _ = make()
    for _ in range(40):
        outgoing.put(b"x" * (PIECE_BYTES // 2))
        assert outgoing.unsent < PIECE_BYTES
    assert len(transport.written) == 20


async def test_blocked_it_keeps_the_order_and_marks_only_what_left() -> None:
    transport, outgoing, told = make()
    transport.blocks = outgoing
    outgoing.put_ping(1)
    outgoing.put(b"x" * PIECE_BYTES)
    assert outgoing.blocked
    outgoing.put_ping(2)
    outgoing.put(b"y")
    await asyncio.sleep(0)
    assert b"".join(transport.written) == ping(1) + b"x" * PIECE_BYTES
    assert (outgoing.mark_written, outgoing.unsent, outgoing.blocked, told) == (1, 11, True, ["flushed"])
    outgoing.put(b"z")
    await asyncio.sleep(0)
    assert len(transport.written) == 1
    outgoing.resume()
    assert transport.written[1:] == [ping(2) + b"yz"]
    assert (outgoing.mark_written, outgoing.unsent, told) == (2, 0, ["flushed"] * 2)
    outgoing.stop()


async def test_a_write_blocked_too_long_is_told_once() -> None:
    _, outgoing, told = make(write_seconds=0.03)
    outgoing.pause()
    outgoing.pause()
    await asyncio.sleep(0.1)
    assert told == ["stuck"]


async def test_patience_begins_anew_with_each_block() -> None:
    _, outgoing, told = make(write_seconds=0.1)
    for _ in range(4):
        outgoing.pause()
        await asyncio.sleep(0.05)
        outgoing.resume()
    assert "stuck" not in told


async def test_drained_waits_for_little_and_not_for_nothing() -> None:
    transport, outgoing, _ = make()
    drained: list[str] = []
    outgoing.when_drained(lambda: drained.append("nothing"))
    assert not drained, "never before the call returns"
    await asyncio.sleep(0)
    assert drained == ["nothing"]
    transport.blocks = outgoing
    for _ in range(3):
        outgoing.put(b"x" * PIECE_BYTES)
    outgoing.when_drained(lambda: drained.append("replaced"))
    outgoing.when_drained(lambda: drained.append("little"))
    await asyncio.sleep(0.01)
    assert drained == ["nothing"]
    outgoing.resume()
    await asyncio.sleep(0)
    assert drained == ["nothing", "little"]
    assert 0 < outgoing.unsent <= LOW_BYTES
    outgoing.stop()


async def test_dropping_and_stopping_let_go_of_who_waits() -> None:
    for name in ("drop", "stop"):
        _, outgoing, told = make(write_seconds=0.03)
        outgoing.pause()
        for _ in range(3):
            outgoing.put(b"x" * PIECE_BYTES)
        drained = asyncio.Event()
        outgoing.when_drained(drained.set)
        await asyncio.sleep(0)
        getattr(outgoing, name)()
        await asyncio.wait_for(drained.wait(), 0.1)
        assert outgoing.unsent == 0
        outgoing.stop()
        await asyncio.sleep(0.06)
        assert told == []


async def test_above_a_mebibyte_it_is_overfull() -> None:
    _, outgoing, _ = make()
    outgoing.pause()
    outgoing.put(b"x" * UNSENT_BYTES)
    assert not outgoing.overfull
    outgoing.put(b"x")
    assert outgoing.overfull
    outgoing.stop()


async def test_nothing_is_written_to_a_transport_that_closes_or_after_the_stop() -> None:
    transport, outgoing, told = make()
    transport.closing = True
    outgoing.put(b"x")
    await asyncio.sleep(0)
    outgoing.stop()
    transport.closing = False
    outgoing.put(b"y")
    outgoing.flush()
    assert (transport.written, outgoing.unsent, told) == ([], 0, [])
