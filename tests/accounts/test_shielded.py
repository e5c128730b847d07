"""Work goes on when its caller is cancelled."""

import asyncio
import gc

import pytest

from accounts.shielded import run_shielded


async def test_results_and_exceptions_are_passed_on() -> None:
    async def answer() -> int:
        return 7

    async def fail() -> None:
        raise KeyError

    assert await run_shielded(answer()) == 7
    with pytest.raises(KeyError):
        await run_shielded(fail())


async def test_cancelling_the_caller_does_not_stop_the_work() -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go_on.wait()
        done.set()

    caller = asyncio.create_task(run_shielded(work()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await asyncio.wait_for(done.wait(), 1)


async def test_a_failure_after_the_caller_was_cancelled_is_logged() -> None:
    go_on, complaints = asyncio.Event(), list[dict[str, object]]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))

    async def work() -> None:
        await go_on.wait()
        raise KeyError("gone")

    caller = asyncio.create_task(run_shielded(work()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await asyncio.sleep(0.01)
    gc.collect()
    assert complaints == []
