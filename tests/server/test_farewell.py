import asyncio
from typing import Any

import pytest

from server.farewell import Farewell


class Transport:
    """Notes what was done to it."""

    def __init__(self, half: bool = True) -> None:
        self.half = half
        self.done: list[Any] = []
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return self.half

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def write_eof(self) -> None:
        self.done.append("eof")

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")


def made(transport: Transport) -> Farewell:
    return Farewell(transport)  # type: ignore[arg-type]


async def test_one_last_word_only() -> None:
    transport = Transport()
    farewell = made(transport)
    assert not farewell.said
    farewell.say(1000, "")
    farewell.say(1001, "")
    assert farewell.said
    assert transport.done == [b"\x88\x02\x03\xe8"]


def test_its_time_runs_out_also_when_the_end_came_while_the_loop_stood_still() -> None:
    """Sanic ends what a drain has left behind with its loop stopped, and runs it again until they are gone."""
    with asyncio.Runner() as runner:
        transport = Transport()

        async def begin() -> Farewell:
            return made(transport)

        farewell = runner.run(begin())
        farewell.cut_after(0.01)
        runner.run(asyncio.sleep(0.05))
    assert transport.done == ["abort"]


async def test_nothing_is_said_to_who_is_gone() -> None:
    transport = Transport()
    transport.closing = True
    farewell = made(transport)
    farewell.say(1000, "")
    farewell.finish()
    farewell.over()
    assert transport.done == []


@pytest.mark.parametrize(("half", "how"), [(True, "eof"), (False, "close")])
async def test_our_half_is_closed_where_that_is_possible(half: bool, how: str) -> None:
    transport = Transport(half)
    farewell = made(transport)
    farewell.finish()
    farewell.over()
    assert transport.done == [how]


async def test_the_earliest_cut_counts() -> None:
    transport = Transport()
    farewell = made(transport)
    farewell.cut_after(0.05)
    farewell.cut_after(10)
    await asyncio.sleep(0.1)
    assert transport.done == ["abort"]
    later = Transport()
    farewell = made(later)
    farewell.cut_after(10)
    farewell.cut_after(0.05)
    await asyncio.sleep(0.1)
    assert later.done == ["abort"]


async def test_nothing_is_cut_that_is_over() -> None:
    transport = Transport()
    farewell = made(transport)
    farewell.cut_after(0.02)
    farewell.over()
    await asyncio.sleep(0.05)
    assert transport.done == []
