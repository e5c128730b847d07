"""What real clients do for their programs: whatever is wrong in a history is found, and nothing else."""

import pytest

from tests.support.histories import HistoryBuilder
from tools.chaos.checker import check
from tools.chaos.checker.clients import handed_over, sent_in_order
from tools.chaos.history import in_order


class Talk(HistoryBuilder):
    """Asha (a) writes m1 and m2 to Ravi (b), who has a real client, and they arrive."""

    def __init__(self, *arrive: str) -> None:
        super().__init__()
        self.connect("a", "b")
        for message_id in ("m1", "m2"):
            self.record("posted", mobile="a", peer="b", message_id=message_id, digest=f"d-{message_id}")
            self.send("a", "b", message_id)
            self.sent("a", "b", message_id)
        for message_id in arrive or ("m1", "m2"):
            self.arrive(message_id)

    def arrive(self, message_id: str) -> "Talk":
        """It comes to b's socket."""
        self.delivered("a", "b", message_id)
        return self

    def hand(self, *message_ids: str) -> "Talk":
        """b's program gets it."""
        for each in message_ids:
            fields = {"connection": self.connections["b"], "device": "real", "digest": f"d-{each}"}
            self.record("handed", mobile="b", peer="a", message_id=each, **fields)
        return self

    def acknowledge(self, *message_ids: str) -> "Talk":
        """b's client says that it has it."""
        ids = [f"{self.stored_ms(each)}-0" for each in message_ids]
        self.record("ack", mobile="b", connection=self.connections["b"], stream_ids=ids)
        return self

    def kill(self) -> "Talk":
        """b's process ends."""
        self.record("killed", mobile="b", device="real")
        return self

    def found(self) -> list[str]:
        """What is wrong."""
        return [each.sentence.partition(" ")[2] for each in (*handed_over(self.events), *sent_in_order(self.events))]


def test_nothing_is_found_where_all_is_well() -> None:
    assert Talk().hand("m1").acknowledge("m1").hand("m2").acknowledge("m2").found() == []


def test_an_entry_that_comes_again_is_acknowledged_and_not_handed_over_again() -> None:
    talk = Talk().hand("m1", "m2").acknowledge("m1", "m2").arrive("m1").acknowledge("m1")
    assert talk.found() == []
    assert talk.hand("m1").found() == ["was handed over twice"]


@pytest.mark.parametrize(("killed", "acknowledged"), [(False, False), (True, False), (True, True)])
def test_only_what_was_in_hand_when_the_process_was_killed_is_handed_over_again(
    killed: bool, acknowledged: bool
) -> None:
    talk = Talk().hand("m1")
    if acknowledged:
        talk.acknowledge("m1")
    if killed:
        talk.kill()
    talk.arrive("m1").hand("m1", "m2").acknowledge("m1", "m2")
    assert talk.found() == ([] if killed and not acknowledged else ["was handed over twice"])


def test_an_acknowledgement_before_the_handler_had_it() -> None:
    assert Talk().hand("m1").acknowledge("m1", "m2").hand("m2").found() == [
        "was acknowledged before it was handed over"
    ]


def test_a_chat_that_the_program_never_got() -> None:
    assert Talk().hand("m1").acknowledge("m1").found() == ["arrived at b and was never handed over"]


def test_a_conversation_handed_over_in_another_order() -> None:
    assert Talk().hand("m2", "m1").found() == ["of a was handed over before m1, which had arrived earlier"]


@pytest.mark.parametrize("excuse", ["nothing", "refused", "not accepted"])
def test_what_was_posted_arrives_in_this_order(excuse: str) -> None:
    talk = Talk("m2")
    if excuse == "refused":
        talk.refused("a", "b", "m1", code="no_such_person")
        talk.record("answer", **_final_refusal(talk))
    elif excuse == "not accepted":
        talk.record("post refused", mobile="a", peer="b", message_id="m1")
    talk.arrive("m1").hand("m2", "m1")
    expected = ["a to b: m2 was posted after m1, and arrived before it"] if excuse == "nothing" else []
    assert talk.found() == expected


def _final_refusal(talk: Talk) -> dict[str, object]:
    where = {"connection": talk.connections["a"], "session": talk.sessions["a"]}
    return {"mobile": "a", "peer": "b", "message_id": "m1", "result": "no_such_person", "retryable": False, **where}


def test_events_of_several_processes_are_put_in_order() -> None:
    """Also a chat that is told to have been sent a moment after it arrived: it was sent before."""
    talk = Talk().hand("m1", "m2")
    shuffled = sorted(talk.events, key=lambda event: event.mobile, reverse=True)
    assert in_order(shuffled) == talk.events
    sends = [event for event in talk.events if event.kind == "send"]
    arrival = next(event for event in talk.events if event.kind == "delivery")
    late = [event for event in talk.events if event is not sends[0]]
    late.append(type(arrival)(**{**_fields(sends[0]), "t": arrival.t + 0.001}))
    kinds = [(event.kind, event.message_id) for event in in_order(late)]
    assert kinds.index(("send", "m1")) < kinds.index(("delivery", "m1"))


def _fields(event: object) -> dict[str, object]:
    return {name: getattr(event, name) for name in type(event).__struct_fields__}  # type: ignore[attr-defined]


def test_both_are_among_all_invariants() -> None:
    talk = Talk().hand("m2").acknowledge("m2")
    talk.drained()
    assert any(each.invariant == "handed over" for each in check(talk.events).violations)
