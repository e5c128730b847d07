"""What one person's devices wait for, over their log-ins."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.chaos.client_state import Behaviour, ClientState
from tools.chaos.frames import V1, ServerFrame
from tools.chaos.history import History
from tools.chaos.shared import Shared

ASHA, RAVI = "919800000001", "919800000002"


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[tuple[ClientState, ClientState]]:
    """Two of Asha."""
    rng = random.Random(1)  # noqa: S311 - no secret
    with History(tmp_path / "history.jsonl") as history:
        shared = Shared(history, [], rng)
        phone, tablet = (ClientState(ASHA, shared, Behaviour(V1, name), rng) for name in ("primary", "tablet"))
        phone.logged_in()
        tablet.logged_in()
        yield phone, tablet


def send(device: ClientState) -> str:
    """The messageId of a chat that is under way."""
    device.write(RAVI, "text")
    (frame,) = device.outgoing()
    return str(frame["messageId"])


def sent(device: ClientState, message_id: str) -> None:
    device.handle([ServerFrame("system", to=RAVI, message_id=message_id, status="sent", timestamp=1)])


def delivered(device: ClientState, message_id: str) -> None:
    device.handle([ServerFrame("ack", sender=RAVI, message_id=message_id, ack_type="delivered", stream_id="1-0")])


def test_a_chat_is_waited_for_until_its_receipt_comes(devices: tuple[ClientState, ClientState]) -> None:
    phone, tablet = devices
    chat = send(phone)
    assert not phone.awaiting
    sent(phone, chat)
    assert phone.awaiting == [(RAVI, chat)]
    delivered(tablet, chat)
    assert phone.awaiting == [(RAVI, chat)], "each device has its own copy of the receipt"
    delivered(phone, chat)
    assert not phone.awaiting


@pytest.mark.parametrize("answered_before", [True, False])
def test_a_receipt_that_came_to_the_other_device_before_this_one_was_back_is_not_waited_for(
    devices: tuple[ClientState, ClientState], answered_before: bool
) -> None:
    phone, tablet = devices
    chat = send(phone)
    if answered_before:
        sent(phone, chat)
    phone.logged_in()
    if not answered_before:
        sent(phone, chat)
    assert phone.awaiting == [(RAVI, chat)], "nobody has a receipt yet"
    delivered(tablet, chat)
    assert not phone.awaiting
    later = send(phone)
    sent(phone, later)
    delivered(tablet, later)
    assert phone.awaiting == [(RAVI, later)]
