"""The client's chats: order within a pair, company, and one answer for each."""

import pytest

from delivery.session.effects import StoreChats
from delivery.session.send_queue import MOST_CHATS, SendQueue
from protocol.errors import ApiError
from tests.support.messaging import ASHA, EVE, RAVI


def queue_of(*chats: tuple[str, str]) -> SendQueue:
    queue = SendQueue(RAVI, None)
    for to, message_id in chats:
        queue.put(to, message_id, "hello", 5)
    return queue


def stored(store: StoreChats) -> list[str | ApiError]:
    return [f"5-{message_id[2:]}" for message_id, _ in store.chats]


def names(store: StoreChats | None) -> list[str]:
    assert store is not None
    return [message_id for message_id, _ in store.chats]


def test_chats_that_come_together_are_stored_together_for_each_recipient() -> None:
    queue = queue_of((ASHA, "m-1"), (EVE, "m-2"), (ASHA, "m-3"))
    stores = queue.take_ready()
    assert [(store.to, names(store)) for store in stores] == [(ASHA, ["m-1", "m-3"]), (EVE, ["m-2"])]
    assert queue.take_ready() == []
    assert (queue.pending, queue.characters) == (3, 15)


def test_what_comes_while_a_store_is_under_way_goes_together_in_the_next_one() -> None:
    queue = queue_of((ASHA, "m-1"))
    (first,) = queue.take_ready()
    for n in range(2, 5):
        queue.put(ASHA, f"m-{n}", "hello", 5)
        assert queue.take_ready() == [], "one at a time keeps the order"
    answers, following = queue.answered(first, stored(first))
    assert answers == [("m-1", "5-1")]
    assert names(following) == ["m-2", "m-3", "m-4"]
    assert following is not None
    assert queue.answered(following, stored(following))[1] is None
    assert (queue.pending, queue.characters) == (0, 0)
    queue.put(ASHA, "m-5", "hello", 5)
    assert [names(store) for store in queue.take_ready()] == [["m-5"]]


def test_no_more_than_so_many_go_together() -> None:
    queue = queue_of(*[(ASHA, f"m-{n}") for n in range(2 * MOST_CHATS + 3)])
    (store,) = queue.take_ready()
    sizes, following = [len(store.chats)], store
    while (following := queue.answered(following, stored(following))[1]) is not None:  # type: ignore[assignment]
        sizes.append(len(following.chats))
    assert sizes == [MOST_CHATS, MOST_CHATS, 3]
    assert queue.pending == 0


def test_an_error_of_one_chat_is_its_own() -> None:
    queue = queue_of((ASHA, "m-1"), (ASHA, "m-2"))
    (store,) = queue.take_ready()
    queue.put(ASHA, "m-3", "hello", 5)
    full = ApiError("mailbox_full")
    answers, following = queue.answered(store, ["5-1", full])
    assert answers == [("m-1", "5-1"), ("m-2", full)]
    assert names(following) == ["m-3"]


@pytest.mark.parametrize(("code", "for_all"), [("unavailable", True), ("no_such_person", True), ("internal", False)])
def test_an_error_for_all_is_the_answer_to_what_waits_behind_as_well(code: str, for_all: bool) -> None:
    queue = queue_of((ASHA, "m-1"))
    (store,) = queue.take_ready()
    queue.put(ASHA, "m-2", "hello", 5)
    error = ApiError(code)
    answers, following = queue.answered(store, error)
    assert answers == ([("m-1", error), ("m-2", error)] if for_all else [("m-1", error)])
    assert (following is None) is for_all
    assert queue.pending == (0 if for_all else 1)


def test_what_waits_behind_a_limited_chat_does_not_overtake_it() -> None:
    queue = queue_of((ASHA, "m-1"), (ASHA, "m-2"))
    (store,) = queue.take_ready()
    queue.put(ASHA, "m-3", "hello", 5)
    limited = ApiError("rate_limited", retry_after=3)
    answers, following = queue.answered(store, ["5-1", limited])
    assert answers == [("m-1", "5-1"), ("m-2", limited), ("m-3", limited)]
    assert (following, queue.pending) == (None, 0)


def test_after_a_failure_of_our_own_nothing_is_pending_and_the_next_chat_goes() -> None:
    queue = queue_of((ASHA, "m-1"))
    (store,) = queue.take_ready()
    queue.put(ASHA, "m-2", "hello", 5)
    queue.failed(store)
    assert (queue.pending, queue.characters) == (0, 0)
    queue.put(ASHA, "m-3", "hello", 5)
    assert [names(each) for each in queue.take_ready()] == [["m-3"]]


def test_dropped_chats_are_neither_stored_nor_answered() -> None:
    queue = queue_of((ASHA, "m-1"))
    (store,) = queue.take_ready()
    queue.put(ASHA, "m-2", "hello", 5)
    queue.put(EVE, "m-3", "hello", 5)
    queue.drop()
    assert (queue.pending, queue.take_ready()) == (1, [])
    assert queue.answered(store, stored(store)) == ([("m-1", "5-1")], None)
    assert (queue.pending, queue.characters) == (0, 0)


def test_a_chat_that_is_not_admitted_is_not_queued() -> None:
    asked: list[tuple[str, str, int]] = []

    def admit(sender: str, to: str, size: int) -> None:
        asked.append((sender, to, size))
        raise ApiError("rate_limited", retry_after=1)

    queue = SendQueue(RAVI, admit)
    with pytest.raises(ApiError, match="rate_limited"):
        queue.put(ASHA, "m-1", "ü", 2)
    assert (asked, queue.pending, queue.take_ready()) == ([(RAVI, ASHA, 2)], 0, [])
