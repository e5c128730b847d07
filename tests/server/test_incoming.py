import asyncio
from typing import Any

import pytest

from protocol.websocket.reader import Goodbye, Ping, Pong, Violation
from server.incoming import WAITING_MESSAGES, Control, Incoming
from tests.server.support import BINARY, CLOSE, PING, PONG, TEXT, frame, make_settings


class Listener:
    """Takes ``room`` messages, then is full."""

    def __init__(self, room: int = 10**9) -> None:
        self.space = room
        self.messages: list[str | bytes] = []
        self.pause = 0.0

    @property
    def is_full(self) -> bool:
        return self.space <= 0

    def handle_message(self, data: str | bytes) -> float:
        self.space -= 1
        self.messages.append(data)
        return self.pause


def make(listener: Any = None, **knobs: Any) -> tuple[Incoming, list[Control]]:
    heeded: list[Control] = []
    incoming = Incoming(make_settings(**knobs), heeded.append, lambda frame: frame == Pong(b"asked for"))
    incoming.handler = listener
    return incoming, heeded


def hear(incoming: Incoming, data: bytes) -> None:
    incoming.feed(data)
    incoming.read()


async def test_nothing_is_read_before_somebody_listens_and_nothing_is_lost() -> None:
    incoming, heeded = make()
    assert not incoming.room
    hear(incoming, frame(TEXT, b"early") + frame(PING, b"?"))
    assert heeded == []
    incoming.handler = listener = Listener()  # type: ignore[assignment]
    incoming.read()
    assert (listener.messages, heeded) == (["early"], [Ping(b"?")])


async def test_control_frames_do_not_queue_behind_messages_that_wait() -> None:
    listener = Listener(room=1)
    incoming, heeded = make(listener)
    hear(incoming, frame(TEXT, b"1") + frame(TEXT, b"2") + frame(PONG, b"x") + frame(TEXT, b"3"))
    assert (listener.messages, heeded) == (["1"], [Pong(b"x")])
    listener.space = 10
    hear(incoming, frame(BINARY, b"4"))
    assert listener.messages == ["1", "2", "3", b"4"]


@pytest.mark.parametrize(("size", "kept"), [(1, WAITING_MESSAGES), (30_000, 3)])
async def test_few_messages_are_kept_for_a_full_listener(size: int, kept: int) -> None:
    listener = Listener(room=0)
    incoming, _ = make(listener)
    hear(incoming, frame(TEXT, b"x" * size) * 100)
    assert not incoming.room
    assert len(incoming._waiting) == kept
    listener.space = 10**6
    incoming.read()
    while incoming.more:
        incoming.read()
    assert len(listener.messages) == 100
    assert incoming.room
    assert incoming._bytes == 0


async def test_after_a_message_that_costs_too_much_nothing_is_read_for_a_moment() -> None:
    listener = Listener()
    listener.pause = 0.05
    incoming, heeded = make(listener)
    hear(incoming, frame(TEXT, b"1") + frame(TEXT, b"2") + frame(PING, b""))
    assert (listener.messages, heeded, incoming.room) == (["1"], [], False)
    incoming.read()
    assert listener.messages == ["1"]
    await asyncio.sleep(0.06)
    incoming.read()
    assert listener.messages == ["1", "2"]


async def test_too_many_fragments_are_slowed_down() -> None:
    incoming, heeded = make(Listener(), data_frames_per_second=1, data_frames_burst=8)
    hear(incoming, frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) * 20 + frame(PING, b""))
    assert (heeded, incoming.room) == ([], False)


@pytest.mark.parametrize("size", [10, 60_000])
async def test_one_turn_takes_only_so_many_bytes(size: int) -> None:
    listener = Listener()
    incoming, _ = make(listener)
    hear(incoming, frame(TEXT, b"x" * size) * 4)
    if size == 10:
        assert (len(listener.messages), incoming.more) == (4, False)
        return
    assert (len(listener.messages), incoming.more) == (2, True)
    incoming.read()
    assert (len(listener.messages), incoming.more) == (4, True)
    incoming.read()
    assert not incoming.more


async def test_control_frames_that_were_asked_for_are_free() -> None:
    incoming, heeded = make(Listener(), control_frames_per_second=1, control_frames_burst=8)
    hear(incoming, frame(PONG, b"asked for") * 100)
    assert len(heeded) == 100


async def test_too_many_control_frames_are_a_violation_and_data_frames_have_their_own_count() -> None:
    incoming, heeded = make(Listener(), control_frames_per_second=1, control_frames_burst=8)
    hear(incoming, frame(TEXT, b"x") * 100 + frame(PONG, b"") * 8)
    with pytest.raises(Violation) as caught:
        hear(incoming, frame(PONG, b""))
    assert caught.value.code == 1008
    assert len(heeded) == 8


async def test_muted_it_throws_messages_away_and_heeds_control_frames() -> None:
    listener = Listener(room=0)
    incoming, heeded = make(listener)
    hear(incoming, frame(TEXT, b"waits"))
    incoming.mute()
    assert incoming.room
    hear(incoming, frame(TEXT, b"late") + frame(CLOSE, b""))
    listener.space = 10
    incoming.read()
    incoming.rest()
    assert (listener.messages, heeded) == ([], [Goodbye(1005, "")])


async def test_stopped_it_reads_nothing_but_hands_over_what_waited() -> None:
    listener = Listener(room=0)
    incoming, heeded = make(listener)
    hear(incoming, frame(TEXT, b"waits"))
    incoming.stop()
    assert incoming.over
    assert incoming.room
    hear(incoming, frame(TEXT, b"late") + frame(PING, b""))
    incoming.rest()
    assert (listener.messages, heeded) == (["waits"], [])


async def test_the_rest_is_handed_over_whether_there_is_room_or_not() -> None:
    listener = Listener(room=0)
    incoming, heeded = make(listener)
    hear(incoming, frame(TEXT, b"x") * 100 + frame(CLOSE, b""))
    assert heeded == []
    incoming.rest()
    assert listener.messages == ["x"] * 100
    assert heeded == [Goodbye(1005, "")]


async def test_a_listener_that_fills_up_in_the_middle_keeps_the_order() -> None:
    listener = Listener(room=3)
    incoming, _ = make(listener)
    hear(incoming, b"".join(frame(TEXT, b"%d" % number) for number in range(200)))
    while len(listener.messages) < 200:
        listener.space = 7
        incoming.read()
    assert listener.messages == [str(number) for number in range(200)]


async def test_at_the_end_nothing_is_kept_of_what_came_and_what_comes_is_only_counted() -> None:
    incoming, _ = make(Listener())
    hear(incoming, frame(TEXT, b"x" * 30_000, fin=False) + frame(0, b"y" * 30_000)[:20_000])
    incoming.stop()
    assert (incoming._reader._data, incoming._reader._parts) == (b"", None)
    hear(incoming, frame(TEXT, b"late"))
    assert incoming.late == len(frame(TEXT, b"late"))
    assert incoming._reader._data == b""
