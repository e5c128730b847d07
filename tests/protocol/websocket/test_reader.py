"""A client's frames: every refusal of the standard, fragments, and every way the bytes can be cut into reads."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.websocket.reader import CloseFrame, Event, Fragment, FrameReader, Ping, Pong, Violation

MASK = b"\x12\x34\x56\x78"
LIMIT = 1000


def frame(first: int, payload: bytes, mask: bytes = MASK) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 2**16:
        head = bytes([first, 0x80 | 126]) + struct.pack("!H", size)
    else:
        head = bytes([first, 0x80 | 127]) + struct.pack("!Q", size)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def read(*reads: bytes, limit: int = LIMIT) -> list[Event]:
    reader = FrameReader(limit)
    events: list[Event] = []
    for data in reads:
        reader.feed(data)
        while (event := reader.next()) is not None:
            events.append(event)
    return events


def violation(*reads: bytes, limit: int = LIMIT) -> Violation:
    with pytest.raises(Violation) as caught:
        read(*reads, limit=limit)
    return caught.value


def test_messages_and_control_frames() -> None:
    data = (
        frame(0x81, "hällo".encode()) + frame(0x82, b"\xff") + frame(0x89, b"?") + frame(0x8A, b"!") + frame(0x81, b"")
    )
    assert read(data) == ["hällo", b"\xff", Ping(b"?"), Pong(b"!"), ""]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_every_form_of_a_length(size: int) -> None:
    assert read(frame(0x81, b"x" * size), limit=size) == ["x" * size]


def test_a_length_in_more_bytes_than_needed_is_taken() -> None:
    assert read(b"\x81\xff" + struct.pack("!Q", 2) + b"\0\0\0\0ab") == ["ab"]


def test_fragments_make_one_message_with_control_frames_between() -> None:
    euro = "€".encode()
    data = frame(0x01, euro[:1]) + frame(0x89, b"") + frame(0x00, euro[1:2]) + frame(0x80, euro[2:]) + frame(0x81, b"x")
    assert read(data) == [Fragment(), Ping(b""), Fragment(), "€", "x"]
    assert read(frame(0x02, b"") + frame(0x00, b"\xff") + frame(0x80, b"")) == [Fragment(), Fragment(), b"\xff"]


STREAM = b"".join(
    [
        frame(0x81, "ü".encode() * 70),
        frame(0x01, b"a"),
        frame(0x89, b"ping"),
        frame(0x80, b"b"),
        frame(0x82, b"\0"),
        frame(0x88, struct.pack("!H", 1000) + b"bye"),
    ]
)
EVENTS = ["ü" * 70, Fragment(), Ping(b"ping"), "ab", b"\0", CloseFrame(1000, "bye")]


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_split_at_every_byte(cut: int) -> None:
    assert read(STREAM[:cut], STREAM[cut:]) == EVENTS


def test_byte_by_byte() -> None:
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (b"\xc1\x80", 1002, "reserved"),
        (b"\xa1\x80", 1002, "reserved"),
        (b"\x91\x80", 1002, "reserved"),
        *((bytes([0x80 | opcode, 0x80]), 1002, "unknown opcode") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        (b"\x81\x01", 1002, "masked"),
        (b"\x89\x00", 1002, "masked"),
        (b"\x09\x80", 1002, "control"),
        (b"\x08\x80", 1002, "control"),
        (b"\x8a\xfe", 1002, "control"),
        (b"\x80\x80", 1002, "order"),
        (b"\x00\x80", 1002, "order"),
        (frame(0x01, b"a") + b"\x81\x80", 1002, "order"),
        (frame(0x02, b"a") + b"\x02\x80", 1002, "order"),
        (b"\x81\xfe" + struct.pack("!H", LIMIT + 1), 1009, "large"),
        (b"\x81\xff" + struct.pack("!Q", 2**63), 1009, "large"),
        (frame(0x01, b"x" * 600) + b"\x00\xfe" + struct.pack("!H", LIMIT - 599), 1009, "large"),
        (frame(0x81, b"\xff"), 1007, "UTF-8"),
        (frame(0x81, b"\xed\xa0\x80"), 1007, "UTF-8"),
        (frame(0x81, b"\xf4\x90\x80\x80"), 1007, "UTF-8"),
        (frame(0x81, b"\xc0\x80"), 1007, "UTF-8"),
        (frame(0x01, b"\xe2\x82") + frame(0x80, b""), 1007, "UTF-8"),
        (frame(0x88, b"\x03"), 1002, "close code"),
        *(
            (frame(0x88, struct.pack("!H", code)), 1002, "close code")
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)
        ),
        (frame(0x88, struct.pack("!H", 1000) + b"\xff"), 1007, "UTF-8"),
    ],
)
def test_what_the_standard_forbids(data: bytes, code: int, reason: str) -> None:
    broken = violation(data)
    assert broken.code == code
    assert reason in broken.reason
    assert violation(*(data[at : at + 1] for at in range(len(data)))).code == code


def test_the_limit_is_exact_also_over_fragments_and_not_for_control_frames_between() -> None:
    assert read(frame(0x81, b"x" * LIMIT)) == ["x" * LIMIT]
    halves = frame(0x01, b"x" * 500), frame(0x8A, b"p" * 125), frame(0x80, b"x" * 500)
    assert read(*halves, frame(0x01, b"y"), frame(0x80, b"z")) == [
        Fragment(),
        Pong(b"p" * 125),
        "x" * LIMIT,
        Fragment(),
        "yz",
    ]


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1012, 1014, 3000, 4508, 4999])
def test_close_codes_that_may_be_sent(code: int) -> None:
    assert read(frame(0x88, struct.pack("!H", code) + "ü".encode())) == [CloseFrame(code, "ü")]


def test_a_close_frame_without_a_code() -> None:
    assert read(frame(0x88, b"")) == [CloseFrame(1005, "")]


def test_one_call_takes_one_frame_and_what_is_before_a_violation_is_taken() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(frame(0x81, b"a") + frame(0x81, b"b") + b"\xff\xff")
    assert [reader.next(), reader.next()] == ["a", "b"]
    with pytest.raises(Violation):
        reader.next()


def test_a_few_bytes_left_do_not_keep_a_large_read_alive() -> None:
    reader = FrameReader(2**17)
    reader.feed(frame(0x81, b"x" * 2**16) + b"\x81")
    assert reader.next() == "x" * 2**16
    assert reader.next() is None
    assert reader._data == b"\x81"


CONTROL = st.builds(lambda opcode, payload: (0x80 | opcode, payload), st.sampled_from([9, 10]), st.binary(max_size=125))
MESSAGE = st.one_of(st.text(max_size=300), st.binary(max_size=300))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[str | bytes], bytes]:
    """Messages, and the bytes that carry them: fragmented anywhere, control frames between, any mask."""
    messages: list[str | bytes] = draw(st.lists(MESSAGE, max_size=5))
    stream = b""
    for message in messages:
        data = message.encode() if isinstance(message, str) else message
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        for number, piece in enumerate(pieces):
            opcode = (1 if isinstance(message, str) else 2) if number == 0 else 0
            last = 0x80 if number == len(pieces) - 1 else 0
            stream += frame(last | opcode, piece, draw(st.binary(min_size=4, max_size=4)))
            if draw(st.booleans()):
                stream += frame(*draw(CONTROL))
    return messages, stream


@given(conversations(), st.lists(st.integers(1, 200), min_size=1, max_size=8))
def test_whatever_is_sent_arrives_however_it_is_cut(talk: tuple[list[str | bytes], bytes], sizes: list[int]) -> None:
    messages, stream = talk
    reads, at = [], 0
    while at < len(stream):
        size = sizes[len(reads) % len(sizes)]
        reads.append(stream[at : at + size])
        at += size
    assert [event for event in read(*reads, limit=1200) if isinstance(event, (str, bytes))] == messages


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_a_violation(data: bytes) -> None:
    reader = FrameReader(LIMIT)
    reader.feed(data)
    code = None
    try:
        while reader.next() is not None:
            pass
    except Violation as broken:
        code = broken.code
    assert code in (None, 1002, 1007, 1009)
