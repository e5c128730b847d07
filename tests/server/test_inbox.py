import pytest
from websockets.frames import Frame, Opcode

from server.inbox import INBOX_BYTES, INBOX_MESSAGES, Inbox


class Wire:
    def __init__(self) -> None:
        self.writable = True
        self.reading = True

    def pause(self) -> None:
        self.reading = False

    def resume(self) -> None:
        self.reading = True


class Listener:
    def __init__(self) -> None:
        self.messages: list[str | bytes] = []

    def received(self, data: str | bytes) -> None:
        self.messages.append(data)

    async def room(self) -> None:
        return


def make() -> tuple[Wire, Inbox]:
    wire = Wire()
    return wire, Inbox(wire)  # type: ignore[arg-type]


async def test_fragments_become_one_message_of_the_first_ones_kind() -> None:
    _, inbox = make()
    listener = Listener()
    inbox.take(Frame(Opcode.TEXT, "ü".encode()[:1], fin=False))
    assert not inbox.changed.is_set()
    inbox.take(Frame(Opcode.CONT, "ü".encode()[1:]))
    inbox.take(Frame(Opcode.BINARY, b"\xff", fin=False))
    inbox.take(Frame(Opcode.CONT, b"\xfe"))
    assert inbox.changed.is_set()
    await inbox.hand_over(listener)  # type: ignore[arg-type]
    assert listener.messages == ["ü", b"\xff\xfe"]


def test_a_text_that_is_not_utf_8_is_refused_and_forgotten() -> None:
    _, inbox = make()
    with pytest.raises(UnicodeDecodeError):
        inbox.take(Frame(Opcode.TEXT, b"\xed\xa0\x80"))  # a lone surrogate
    inbox.take(Frame(Opcode.TEXT, b"fine"))


@pytest.mark.parametrize(
    ("size", "count", "reads_on"),
    [(1, INBOX_MESSAGES - 1, True), (1, INBOX_MESSAGES, False), (INBOX_BYTES - 1, 1, True), (INBOX_BYTES, 1, False)],
)
async def test_reading_stops_at_the_limits_and_goes_on_when_empty(size: int, count: int, reads_on: bool) -> None:
    wire, inbox = make()
    for _ in range(count):
        inbox.take(Frame(Opcode.TEXT, b"x" * size))
    inbox.pause_if_full()
    assert wire.reading is reads_on
    inbox.resume_if_empty()
    assert wire.reading is reads_on
    await inbox.hand_over(Listener())  # type: ignore[arg-type]
    assert wire.reading
    inbox.take(Frame(Opcode.TEXT, b"x"))
    inbox.pause_if_full()
    assert wire.reading  # what was handed over no longer counts


async def test_reading_does_not_go_on_while_the_client_does_not_read() -> None:
    wire, inbox = make()
    wire.reading = wire.writable = False
    await inbox.hand_over(Listener())  # type: ignore[arg-type]
    assert not wire.reading
