"""The outbox repeats a chat until it is answered, and keeps the order of I3."""

from tools.chaos.outbox import Outbox, PendingChat


def filled(*names: str, pipelined: int = 1) -> Outbox:
    """``a1`` is the first chat to a."""
    box = Outbox(pipelined)
    for name in names:
        box.put(PendingChat(name[0], name, "text", "digest"))
    return box


def ready(box: Outbox, now: float = 1.0) -> list[str]:
    return [chat.message_id for chat in box.ready(now)]


def begin(box: Outbox, now: float = 1.0) -> list[str]:
    begun = box.ready(now)
    for chat in begun:
        box.begin(chat, now)
    return [chat.message_id for chat in begun]


def test_the_next_chat_to_the_same_person_waits_for_the_answer() -> None:
    box = filled("a1", "a2", "b1")
    assert begin(box) == ["a1", "b1"]
    assert ready(box) == []
    assert box.answered("a1") is not None
    assert begin(box) == ["a2"]
    assert box.answered("a1") is None
    assert len(box) == 2


def test_pipelined_chats_are_under_way_at_once() -> None:
    box = filled("a1", "a2", "a3", pipelined=2)
    assert begin(box) == ["a1", "a2"]
    box.answered("a2")
    assert begin(box) == ["a3"]


def test_a_refused_chat_waits_and_keeps_its_place() -> None:
    box = filled("a1", "a2")
    begin(box)
    box.refused("a1", not_before=5.0)
    assert ready(box, 4.9) == []
    assert begin(box, 5.0) == ["a1"]
    chat = box.find("a1")
    assert chat is not None
    assert chat.attempts == 2


def test_all_attempts_begin_again_on_another_socket() -> None:
    box = filled("a1", "a2", "b1", pipelined=2)
    begin(box)
    box.restart()
    assert begin(box) == ["a1", "a2", "b1"]


def test_overdue_is_what_is_under_way_for_too_long() -> None:
    box = filled("a1", "b1")
    assert not box.trying
    assert box.overdue(9.0) == []
    begin(box, 2.0)
    box.refused("b1", not_before=0.0)
    assert box.trying
    assert [chat.message_id for chat in box.overdue(2.0)] == ["a1"]
    assert box.overdue(1.9) == []
