"""A server's frames, read back by the `websockets` package's client side."""

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from protocol.websocket import writer


def understood(data: bytes) -> list[Frame]:
    client = ClientProtocol(parse_uri("ws://x/"), state=OPEN, max_size=None)
    client.receive_data(data)
    assert client.parser_exc is None
    return [event for event in client.events_received() if isinstance(event, Frame)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_texts_of_every_form_of_length(size: int) -> None:
    (frame,) = understood(writer.text(b"x" * size))
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, b"x" * size)


@pytest.mark.parametrize(("size", "head"), [(0, 2), (124, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_a_length_takes_as_few_bytes_as_it_can(size: int, head: int) -> None:
    """RFC 6455, 5.2. Chrome ends a connection that wastes some; the package above does not mind."""
    assert len(writer.text(b"x" * size)) == head + size


def test_pings_and_pongs() -> None:
    ping, pong = understood(writer.ping(b"p" * 125) + writer.pong(b""))
    assert (ping.opcode, bytes(ping.data)) == (Opcode.PING, b"p" * 125)
    assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"")
    assert writer.is_ping(writer.ping(b"x"))
    assert not writer.is_ping(writer.pong(b"x"))
    assert not writer.is_ping(writer.text(b"\x89"))


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4508, "replaced"), (1011, "ü")])
def test_close_frames(code: int, reason: str) -> None:
    (frame,) = understood(writer.close_frame(code, reason))
    assert Close.parse(bytes(frame.data)) == Close(code, reason)


def test_a_close_frame_without_a_code_is_empty() -> None:
    assert writer.close_frame(1005) == b"\x88\x00"


def test_a_long_reason_is_cut_between_two_characters() -> None:
    (frame,) = understood(writer.close_frame(1002, "ü" * 100))
    assert Close.parse(bytes(frame.data)).reason == "ü" * 61


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 2**16 - 1, 2**16])
def test_the_length_of_a_text_takes_as_few_bytes_as_it_can(size: int) -> None:
    head = len(writer.text(b"x" * size)) - size
    assert head == (2 if size <= 125 else 4 if size < 2**16 else 10), "RFC 6455, 5.2"
