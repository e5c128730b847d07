"""Lookups of one tick are one query."""

import asyncio

import pytest

from accounts.batch_loader import BATCH_SIZE, BatchLoader
from protocol.errors import ApiError


class Book:
    """Knows the length of every name that does not begin with "no"; notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.error: Exception | None = None

    async def ask(self, names: list[str]) -> dict[str, int]:
        self.asked.append(names)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return {name: len(name) for name in names if not name.startswith("no")}


async def test_lookups_of_one_tick_are_one_query_with_each_key_once() -> None:
    book = Book()
    together = BatchLoader(book.ask)
    assert await asyncio.gather(*map(together.get, ("a", "bb", "nobody", "a"))) == [1, 2, None, 1]
    assert await together.get("bb") == 2, "nothing is remembered"
    assert book.asked == [["a", "bb", "nobody"], ["bb"]]


async def test_a_query_has_a_limited_size() -> None:
    book = Book()
    together = BatchLoader(book.ask)
    answers = await asyncio.gather(*[together.get("x" * (number + 1)) for number in range(2 * BATCH_SIZE + 1)])
    assert answers == list(range(1, 2 * BATCH_SIZE + 2))
    assert [len(names) for names in book.asked] == [BATCH_SIZE, BATCH_SIZE, 1]


async def test_every_caller_gets_the_failure_and_the_next_query_works() -> None:
    book = Book()
    together = BatchLoader(book.ask)
    book.error = ApiError("unavailable")
    found = await asyncio.gather(together.get("a"), together.get("b"), return_exceptions=True)
    assert [str(each) for each in found] == [str(book.error)] * 2
    book.error = None
    assert await together.get("a") == 1


async def test_a_cancelled_caller_does_not_affect_the_others() -> None:
    book = Book()
    together = BatchLoader(book.ask)
    gone, stays = together.get("a"), together.get("b")
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 1
    with pytest.raises(asyncio.CancelledError):
        await gone
