import pytest

from protocol.websocket import writer
from server.websocket.send_buffer import PIECE_BYTES, SendBuffer, read_mark


def ping(mark: int) -> bytes:
    return writer.ping(mark.to_bytes(8, "big"))


def test_what_is_queued_is_taken_in_order_and_in_one_piece() -> None:
    buffer = SendBuffer()
    buffer.put(b"one")
    buffer.put(buffer.next_ping())
    buffer.put(b"two")
    assert (buffer.unsent_bytes, buffer.written_ping) == (16, 0)
    assert buffer.take() == b"one" + ping(1) + b"two"
    assert (buffer.unsent_bytes, buffer.written_ping) == (0, 1)


def test_much_is_taken_in_pieces_and_only_pings_that_were_taken_count_as_written() -> None:
    buffer = SendBuffer()
    frames = [buffer.next_ping(), b"x" * PIECE_BYTES, buffer.next_ping(), b"y"]
    for frame in frames:
        buffer.put(frame)
    assert buffer.take() == b"".join(frames[:2])
    assert (buffer.last_ping, buffer.written_ping, buffer.unsent_bytes) == (2, 1, 11)
    assert buffer.take() == b"".join(frames[2:])
    assert buffer.written_ping == 2


def test_cleared_nothing_is_left_and_marks_go_on_rising() -> None:
    buffer = SendBuffer()
    buffer.put(buffer.next_ping())
    buffer.clear()
    assert (buffer.unsent_bytes, buffer.take()) == (0, b"")
    assert buffer.next_ping() == ping(2)


@pytest.mark.parametrize(("payload", "mark"), [((5).to_bytes(8, "big"), 5), (b"", 0), (b"1234567", 0), (b"x" * 9, 0)])
def test_only_a_payload_of_ours_carries_a_mark(payload: bytes, mark: int) -> None:
    assert read_mark(payload) == mark
