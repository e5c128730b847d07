"""The one task of the Python client that writes to its store."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from whatsapp_mini import Message, NotStarted, SendFailed
from whatsapp_mini.core.effects import Keep
from whatsapp_mini.store import Change, Chat, MemoryStore, News
from whatsapp_mini.store_worker import StoreWorker

from tests.clients.python.support import ASHA


class Slow(MemoryStore):
    """Takes a turn of the loop for each transaction, and notes them. ``fails``: what applying raises."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions: list[str] = []
        self.fails: Exception | None = None

    async def add(self, messages: Sequence[Message]) -> list[Message]:
        await asyncio.sleep(0)
        self.transactions.append(" ".join(message.id for message in messages))
        return await super().add(messages)

    async def apply(self, changes: Sequence[Change]) -> list[News]:
        await asyncio.sleep(0)
        self.transactions.append(f"{len(changes)} changes")
        if self.fails is not None:
            raise self.fails
        return await super().apply(changes)


class Heard:
    """What the worker replied."""

    def __init__(self) -> None:
        self.kept_numbers: list[int] = []
        self.errors: list[Exception] = []

    def kept(self, numbers: Sequence[int], news: Sequence[News]) -> None:
        self.kept_numbers += numbers

    def unknown(self, number: int, chats: Sequence[Message]) -> None: ...

    def store_failed(self, error: Exception) -> None:
        self.errors.append(error)


@pytest.fixture
async def worker() -> AsyncIterator[StoreWorker]:
    made = StoreWorker(Slow(), Heard())
    made.start()
    yield made
    await made.finish()


def message(id: str, mine: bool = True) -> Message:
    return Message(id, ASHA, mine, "hello", 1, "waiting" if mine else "new")


def same(kept: Message) -> Message:
    return kept


def keep(number: int) -> Keep:
    return Keep(number, (Chat(message(f"c{number}", mine=False)),))


async def adding(worker: StoreWorker, *ids: str, then: Callable[[Message], Message] = same) -> list[object]:
    """Ask for all of them at once; results and errors."""
    asked = (worker.add(message(id), then) for id in ids)
    return list(await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5))


async def test_what_is_asked_together_is_kept_in_two_transactions(worker: StoreWorker) -> None:
    store = worker._store
    assert isinstance(store, Slow)
    worker.put(keep(1))
    worker.put(keep(2))
    sending = [asyncio.ensure_future(worker.add(message(id), same)) for id in ("m1", "m2", "m3")]
    sending[-1].add_done_callback(lambda _: worker.put(keep(4)))
    assert await asyncio.gather(*sending, worker.do(lambda: store.save_epoch("e1"))) == [
        message("m1"),
        message("m2"),
        message("m3"),
        None,
    ]
    await worker.do(store.load)
    assert store.transactions == ["2 changes", "m1 m2 m3", "1 changes"]


async def test_what_follows_is_done_in_the_order_asked_and_its_refusal_is_the_callers(worker: StoreWorker) -> None:
    order: list[str] = []

    def then(kept: Message) -> Message:
        order.append(kept.id)
        if kept.id == "m2":
            raise SendFailed("message_id_reused", "It is another text.", kept.id)
        return kept

    results = await adding(worker, "m1", "m2", "m3", then=then)
    assert order == ["m1", "m2", "m3"]
    assert [type(result) for result in results] == [Message, SendFailed, Message]


async def test_who_waits_behind_a_change_that_cannot_be_kept_is_not_left_waiting(worker: StoreWorker) -> None:
    store, heard = worker._store, worker._replies
    assert isinstance(store, Slow)
    assert isinstance(heard, Heard)
    store.fails = OSError("No space left")
    worker.put(keep(1))
    first = asyncio.ensure_future(adding(worker, "m1"))
    other = asyncio.ensure_future(worker.do(lambda: store.save_epoch("e1")))
    await asyncio.sleep(0)
    worker.put(keep(2))
    assert await first == [message("m1")]
    await asyncio.wait_for(other, 5)
    assert heard.kept_numbers == []
    assert heard.errors == [store.fails]
    store.fails = None
    worker.put(keep(3))
    assert await adding(worker, "m2") == [message("m2")]
    assert heard.kept_numbers == [3]


async def test_after_the_end_it_says_so(worker: StoreWorker) -> None:
    await worker.finish()
    with pytest.raises(NotStarted):
        await worker.add(message("m1"), same)
    worker.put(keep(1))
    worker.start()
