"""Waiting for a condition, instead of for a time."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable


async def until(condition: Callable[[], object | Awaitable[object]], seconds: float = 5) -> None:
    """Return when the condition, or what it awaits, is true.

    :raises TimeoutError: not within ``seconds``
    """
    async with asyncio.timeout(seconds):
        while True:
            met = condition()
            if await met if isawaitable(met) else met:
                return
            await asyncio.sleep(0.005)
