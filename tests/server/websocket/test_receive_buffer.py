import pytest

from server.websocket.receive_buffer import WAITING_BYTES, WAITING_MESSAGES, ReceiveBuffer


@pytest.mark.parametrize(("size", "most"), [(0, WAITING_MESSAGES), (1, WAITING_MESSAGES), (30_000, 3)])
def test_it_is_full_with_so_many_messages_or_bytes_and_has_room_again_when_one_is_taken(size: int, most: int) -> None:
    buffer = ReceiveBuffer()
    for number in range(most):
        assert not buffer.is_full, number
        buffer.put("x" * size)
    assert buffer.is_full
    buffer.pop()
    assert not buffer.is_full


def test_one_message_too_many_is_kept_and_the_order_stays() -> None:
    buffer = ReceiveBuffer()
    for message in ("x" * WAITING_BYTES, b"two", "three"):
        buffer.put(message)
    assert buffer.pop() == "x" * WAITING_BYTES
    assert buffer.take_all() == [b"two", "three"]
    assert (buffer.messages, buffer.is_full) == ([], False)


def test_bytes_that_were_taken_do_not_count_any_more() -> None:
    buffer = ReceiveBuffer()
    for take in (buffer.pop, buffer.take_all):
        buffer.put("x" * (WAITING_BYTES - 1))
        take()
    buffer.put("x" * (WAITING_BYTES - 1))
    assert not buffer.is_full
