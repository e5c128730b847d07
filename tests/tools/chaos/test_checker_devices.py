"""What one device did and the others are told: whatever is wrong in a history is found, and nothing else."""

from typing import Any

import pytest

from tests.support.histories import HistoryBuilder
from tools.chaos.checker import Limits, check
from tools.chaos.checker.devices import on_each_device, own_copies, own_reads
from tools.chaos.frames import SEED, V1
from tools.chaos.history import Event

LIMITS = Limits(device_known=0.0)


class TwoDevices(HistoryBuilder):
    """Asha (a) has a phone and a tablet and writes to b."""

    def __init__(self, tablet: str = V1) -> None:
        super().__init__()
        self.connect("b")
        self.connect("a", device="tablet", dialect=tablet)
        self.tablet, self.tablets_session = self.connections["a"], self.sessions.pop("a")
        self.connect("a", device="phone")
        self.phone = self.connections["a"]

    def on(self, device: str) -> "TwoDevices":
        """What a does next is done there."""
        self.connections["a"] = self.tablet if device == "tablet" else self.phone
        return self

    def own(self, message_id: str, **change: Any) -> Event:
        """A copy comes to the device."""
        fields = {"digest": f"d-{message_id}", "timestamp": self.stored_ms(message_id)}
        where = {"connection": self.connections["a"], "stream_id": f"{self.next_stored_ms()}-0"}
        return self.record("own", mobile="a", peer="b", message_id=message_id, **(fields | where | change))

    def copied(self, *message_ids: str) -> "TwoDevices":
        """The phone sends, and the tablet gets the copy."""
        for message_id in message_ids:
            self.on("phone").send("a", "b", message_id)
            self.sent("a", "b", message_id)
            self.on("tablet").own(message_id)
        return self.on("phone")


def found(history: HistoryBuilder) -> list[str]:
    history.drained()
    return [f"{each.invariant}: {each.sentence}" for each in own_copies(history.events, LIMITS)]


def test_nothing_is_found_in_a_conversation_that_all_devices_show() -> None:
    history = TwoDevices().copied("m1", "m2")
    assert found(history) == []
    assert check(history.events, limits=LIMITS).violations[2:] == []


@pytest.mark.parametrize("excuse", ["nothing", "seed", "logged out", "new", "lost"])
def test_a_copy_that_never_came(excuse: str) -> None:
    history = TwoDevices(SEED if excuse == "seed" else V1)
    if excuse == "logged out":
        history.request("logout", "a", session=history.tablets_session)
    history.on("phone").send("a", "b", "m1")
    history.sent("a", "b", "m1")
    if excuse == "lost":
        history.fault("flush", 1.0, loses_storage=True)
        history.record("resync", mobile="a", connection=history.phone, epoch="e2")
    limits = Limits(device_known=60.0) if excuse == "new" else LIMITS
    history.drained()
    violations = [each.sentence for each in own_copies(history.events, limits)]
    assert violations == (
        ["m1 from a to b got `sent` on phone and never came to tablet"] if excuse == "nothing" else []
    )


def test_a_refused_chat_needs_no_copy() -> None:
    history = TwoDevices().on("phone")
    history.send("a", "b", "m1")  # type: ignore[attr-defined]
    history.refused("a", "b", "m1", "mailbox_full")  # type: ignore[attr-defined]
    assert found(history) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"digest": "another"}, "I8: m1 from a to b came to tablet altered"),
        ({"timestamp": 1}, "I2: m1 from a to b came to tablet with another time than `sent` had"),
    ],
)
def test_a_copy_that_is_not_the_chat(change: dict[str, Any], says: str) -> None:
    history = TwoDevices()
    history.on("phone").send("a", "b", "m1")
    history.sent("a", "b", "m1")
    history.on("tablet").own("m1", **change)
    assert found(history) == [says]


def test_a_copy_of_what_nobody_sent() -> None:
    history = TwoDevices().on("tablet")
    history.own("m1")
    assert found(history) == ["I8: m1 from a to b came to tablet, which no other device had sent"]


def test_a_copy_on_the_device_that_sent_it() -> None:
    history = TwoDevices().copied("m1")
    history.on("phone").own("m1")
    assert found(history) == ["I8: m1 from a to b came to phone, which no other device had sent"]


def test_two_copies_of_one_chat() -> None:
    history = TwoDevices().copied("m1")
    again = history.on("tablet").own("m1", stream_id=history.events[-1].stream_id)
    assert found(history) == [], "the same entry may come twice"
    history.events.pop()
    history.own("m1", stream_id="99999-0")
    assert again
    assert found(history) == ["I2: m1 from a to b came to tablet twice, as two entries"]


def test_copies_in_another_order_than_they_were_sent() -> None:
    history = TwoDevices()
    for message_id in ("m1", "m2"):
        history.on("phone").send("a", "b", message_id)
        history.sent("a", "b", message_id)
    history.on("tablet").own("m2")
    history.own("m1")
    assert found(history) == ["I3: on tablet, a copy to b came after that of a chat sent later"]


def test_copies_of_what_was_under_way_together_may_come_in_any_order() -> None:
    history = TwoDevices().on("phone")
    for message_id in ("m1", "m2"):
        history.send("a", "b", message_id)
    for message_id in ("m1", "m2"):
        history.sent("a", "b", message_id)
    history.on("tablet").own("m2")
    history.own("m1")
    assert found(history) == []


@pytest.mark.parametrize("was_read", [True, False])
def test_a_device_is_told_only_of_what_was_read_elsewhere(was_read: bool) -> None:
    history = TwoDevices()
    if was_read:
        history.on("phone").read("b", "a", "m1")
    here = {"mobile": "a", "peer": "b", "message_ids": ["m1"], "stream_id": "9-0", "connection": history.tablet}
    history.record("own read", **here)
    history.drained()
    assert len(own_reads(history.events)) == (not was_read)
    if was_read:
        history.record("own read", **(here | {"connection": history.phone}))
        assert len(own_reads(history.events)) == 1, "the phone read it itself"


@pytest.mark.parametrize("case", ["missing", "came", "new", "blocked", "expired", "seed"])
def test_a_chat_comes_to_each_device_of_its_recipient(case: str) -> None:
    history = TwoDevices(SEED if case == "seed" else V1)
    if case == "new":
        history.connections.pop("a")
        history.sessions.pop("a")
    history.send("b", "a", "m1")
    history.sent("b", "a", "m1")
    if case == "new":
        history.connect("a", device="phone")
    if case == "blocked":
        history.request("block", "a", peer="b")
    history.on("phone" if case != "new" else "tablet").delivered("b", "a", "m1")
    if case == "came":
        history.on("tablet").delivered("b", "a", "m1")
    if case == "expired":
        history.receipt("b", "a", "m1", "expired")
    missing = [each.sentence for each in on_each_device(history.drained())]
    assert missing == {
        "missing": ["m1 from b to a never came to tablet"],
        "seed": ["m1 from b to a never came to tablet"],
        "new": ["m1 from b to a never came to phone"],
    }.get(case, [])
