"""Encoded frames become WebSocket messages, in their order, none too long."""

import msgspec

from protocol.messages import CHUNK_BYTES, batch_frames

FRAMES = [b'{"n":%d}' % n for n in range(5)]


def test_in_the_seed_dialect_each_frame_is_a_message() -> None:
    assert list(batch_frames(FRAMES, joined=False)) == FRAMES


def test_frames_are_joined_into_one_array() -> None:
    (message,) = batch_frames(FRAMES, joined=True)
    assert msgspec.json.decode(message) == [{"n": n} for n in range(5)]


def test_one_frame_is_sent_without_an_array_and_no_frame_sends_nothing() -> None:
    assert list(batch_frames(FRAMES[:1], joined=True)) == FRAMES[:1]
    assert list(batch_frames([], joined=True)) == []


def test_messages_stay_within_their_limit_and_frames_in_their_order() -> None:
    frames = [b'"%s"' % (bytes([65 + n]) * 20_000) for n in range(7)] + [b'"%s"' % (b"x" * (CHUNK_BYTES + 1))]
    messages = list(batch_frames(frames, joined=True))
    decoded = [msgspec.json.decode(message) for message in messages]
    flat = [one for each in decoded for one in (each if isinstance(each, list) else [each])]
    assert flat == [msgspec.json.decode(frame) for frame in frames]
    assert all(len(message) <= CHUNK_BYTES + 16 for message in messages[:-1])
    assert messages[-1] == frames[-1]
