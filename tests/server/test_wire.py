import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.protocol import State
from websockets.server import ServerProtocol

from protocol.refusals import DRAINING, REPLACED
from server.wire import Wire


class Transport:
    def __init__(self, half_close: bool = True) -> None:
        self.done: list[Any] = []
        self.closing = False
        self.half_close = half_close

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return self.half_close

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def __getattr__(self, name: str) -> Any:
        return lambda: self.done.append(name)


def make(half_close: bool = True) -> tuple[Transport, Wire]:
    transport = Transport(half_close)
    lower = SimpleNamespace(transport=transport, _can_write=asyncio.Event())
    machine = ServerProtocol(state=State.OPEN)
    return transport, Wire(SimpleNamespace(ws_proto=machine, io_proto=lower))  # type: ignore[arg-type]


def test_goodbye_is_said_once() -> None:
    transport, wire = make()
    assert wire.open
    wire.say_goodbye(DRAINING)
    wire.say_goodbye(REPLACED)
    assert len(transport.done) == 1
    assert (4012).to_bytes(2, "big") in transport.done[0]
    assert not wire.open


@pytest.mark.parametrize(("half_close", "end"), [(True, "write_eof"), (False, "close")])
def test_after_a_failure_our_half_is_closed_behind_the_last_word(half_close: bool, end: str) -> None:
    transport, wire = make(half_close)
    wire.machine.fail(1007, "why")
    assert wire.write()
    assert transport.done[0].endswith(b"why")
    assert transport.done[1:] == [end]
    assert not wire.write()


def test_a_closing_transport_is_left_alone() -> None:
    transport, wire = make()
    transport.closing = True
    wire.say_goodbye(DRAINING)
    wire.pause()
    wire.resume()
    wire.machine.fail(1002)
    wire.write()
    assert transport.done == []
    assert not wire.open


def test_reading_is_stopped_and_taken_up_once() -> None:
    transport, wire = make()
    for call in (wire.pause, wire.pause, wire.resume, wire.resume):
        call()
    assert transport.done == ["pause_reading", "resume_reading"]


async def test_waiting_for_the_client_to_read_is_bounded() -> None:
    _, wire = make()
    with pytest.raises(TimeoutError):
        await wire.writable_again(0.02)
    wire._can_write.set()
    await wire.writable_again(0.02)
