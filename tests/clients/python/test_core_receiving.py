"""C27–C35: what the core hands over, keeps, acknowledges and tells, and in which order."""

from typing import Any

import pytest
from whatsapp_mini.core.effects import AskUnknown, Emit, HandOver, Keep, SendFrame

from tests.clients.python.support import ASHA, BEN, Talk, chat, receipt, sent


def acked(talk: Talk) -> list[list[str]]:
    """What each acknowledgement since the last time named."""
    return [frame["streamIds"] for frame in talk.took("ack")]


def handed(talk: Talk) -> list[str]:
    return [message.id for message in talk.handed]


def came(talk: Talk) -> list[str]:
    """The messages that the program was told of."""
    return [event.message.id for event in talk.named("message")]


def own(id: str, place: int = 1, text: str = "mine") -> dict[str, Any]:
    return {"type": "own", "to": ASHA, "messageId": id, "message": text, "timestamp": place, "streamId": f"{place}-0"}


class TestOrder:
    """C27, C31, C32."""

    def test_handler_then_store_then_acknowledgement_then_event(self) -> None:
        talk = Talk(handler=True).connect()
        talk.log.clear()
        talk.come(chat("m1"))
        assert [type(effect) for effect in talk.log] == [AskUnknown, HandOver]
        talk.keeps = []
        talk.handled()
        assert [type(effect) for effect in talk.log] == [AskUnknown, HandOver, Keep]
        talk.answer()
        assert [type(effect) for effect in talk.log[3:]] == [SendFrame, Emit]
        assert (acked(talk), came(talk)) == ([["1-0"]], ["m1"])

    def test_without_a_handler_an_array_is_kept_as_a_whole_and_acknowledged_in_one_frame(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="a1")
        talk.come(sent("a1"))
        talk.took("")
        talk.keeps = []
        talk.come(chat("m1", 1), receipt("delivered", "a1", place=2), chat("m2", 3), own("o1", 4))
        assert (len(talk.keeps), acked(talk), came(talk)) == (1, [], [])
        talk.answer()
        assert acked(talk) == [["1-0", "2-0", "3-0", "4-0"]]
        assert came(talk) == ["m1", "m2"]

    def test_with_a_handler_one_after_the_other_and_still_one_acknowledgement(self) -> None:
        talk = Talk(handler=True).connect()
        talk.come(chat("m1", 1), receipt("delivered", "x", place=2), chat("m2", 3), chat("m3", 4))
        assert handed(talk) == ["m1"]
        for _ in range(2):
            talk.handled()
            assert (acked(talk), came(talk)) == ([], []), "joined, and told after it"
        talk.handled()
        assert handed(talk) == ["m1", "m2", "m3"]
        assert sorted(acked(talk)[0]) == ["1-0", "2-0", "3-0", "4-0"]
        assert came(talk) == ["m1", "m2", "m3"]

    def test_a_slow_handler_does_not_keep_what_is_done_from_being_acknowledged(self) -> None:
        talk = Talk(handler=True).connect()
        talk.come(chat("m1", 1), chat("m2", 2))
        talk.handled()
        talk.wait(1)
        assert (acked(talk), came(talk), handed(talk)) == ([["1-0"]], ["m1"], ["m1", "m2"])
        talk.handled()
        assert acked(talk) == [["2-0"]]

    def test_receipts_and_answers_do_not_wait_for_the_handler(self) -> None:
        talk = Talk(handler=True).connect()
        talk.post(ASHA, id="a1")
        talk.come(chat("m1", 1), sent("a1"))
        talk.post(ASHA, id="a2")
        talk.come(receipt("delivered", "a1", "a2", place=2))
        assert talk.outcomes == {"a1": 5, "a2": 2}
        talk.wait(1)
        assert acked(talk) == [["2-0"]]

    def test_an_array_is_in_the_order_of_the_mailbox_and_a_lower_place_is_no_reason_to_drop(self) -> None:
        talk = Talk(handler=True).connect()
        talk.come(chat("m10", 10), chat("m9", 9), chat("m2", 2))
        for _ in range(3):
            talk.handled()
        talk.come(chat("m1", 1))
        talk.handled()
        assert handed(talk) == ["m2", "m9", "m10", "m1"]

    def test_one_frame_acknowledges_at_most_a_thousand(self) -> None:
        talk = Talk().connect()
        talk.took("")
        talk.come(*(chat(f"m{place}", place) for place in range(1, 2502)))
        assert [len(ids) for ids in acked(talk)] == [1000, 1000, 501]
        assert len(came(talk)) == 2501

    def test_nobody_listens(self) -> None:
        talk = Talk(heard=False).connect()
        talk.took("")
        talk.come(chat("m1", 1))
        talk.come(receipt("delivered", "x", place=2))
        assert acked(talk) == [["2-0"]]
        talk.core.listened(False, True, talk.now)
        talk.run()
        assert (acked(talk), came(talk)) == ([["1-0"]], ["m1"])


class TestHandler:
    """C28, C29."""

    def test_a_handler_that_fails_stops_the_client_with_nothing_acknowledged(self) -> None:
        talk = Talk(handler=True).connect()
        talk.took("")
        talk.come(chat("m1", 1), chat("m2", 2), chat("m3", 3))
        talk.come(chat("m4", 4))
        talk.handled()
        talk.core.stopped("handler_failed", "The handler failed.", talk.now)
        talk.run()
        assert (talk.state.name, talk.state.code, talk.ended) == ("stopped", "handler_failed", [1000])
        assert (acked(talk), handed(talk)) == ([], ["m1", "m2"])
        talk.connect()
        assert acked(talk) == []
        talk.come(chat("m1", 1), chat("m2", 2), chat("m3", 3))
        talk.handled()
        talk.handled()
        assert handed(talk) == ["m1", "m2", "m2", "m3"], "m1 had been handled"
        assert sorted(acked(talk)[-1]) == ["1-0", "2-0", "3-0"]

    def test_what_is_in_hand_is_not_acknowledged_and_not_handed_over_twice(self) -> None:
        talk = Talk(handler=True).connect()
        talk.took("")
        talk.come(chat("m1", 1))
        talk.come(chat("m1", 1))
        talk.close()
        talk.connect()
        talk.come(chat("m1", 1))
        assert (handed(talk), acked(talk)) == (["m1"], [])
        talk.handled()
        assert handed(talk) == ["m1"]
        assert {id for ids in acked(talk) for id in ids} == {"1-0"}
        assert came(talk) == ["m1"]

    def test_what_was_handled_while_away_is_acknowledged_first_thing(self) -> None:
        talk = Talk(handler=True).connect()
        talk.come(chat("m1", 1))
        talk.close()
        talk.handled()
        talk.took("")
        talk.connect()
        assert acked(talk) == [["1-0"]]

    def test_what_waited_for_the_handler_comes_again_on_the_next_connection(self) -> None:
        talk = Talk(handler=True).connect()
        talk.come(chat("m1", 1), chat("m2", 2))
        talk.come(chat("m3", 3))
        talk.close()
        talk.handled()
        assert handed(talk) == ["m1"]
        talk.connect()
        talk.come(chat("m2", 2), chat("m3", 3))
        talk.handled()
        talk.handled()
        assert handed(talk) == ["m1", "m2", "m3"]

    def test_an_answer_of_the_store_for_the_connection_before_is_passed_over(self) -> None:
        talk = Talk(handler=True).connect()
        talk.asks = []
        talk.come(chat("m1", 1))
        talk.close()
        talk.connect()
        talk.come(chat("m1", 1), chat("m2", 2))
        late, asked = talk.asks
        talk.core.unknown(late.number, late.chats, talk.now)
        talk.run()
        assert handed(talk) == []
        talk.core.unknown(asked.number, asked.chats, talk.now)
        talk.run()
        talk.handled()
        assert handed(talk) == ["m1", "m2"]

    def test_what_a_loop_gave_back_is_handed_over_again_in_its_order(self) -> None:
        talk = Talk(handler=True).connect()
        talk.took("")
        talk.come(chat("m1", 1), chat("m2", 2))
        talk.core.given_back(talk.now)
        talk.core.listened(False, False, talk.now)
        talk.run()
        assert acked(talk) == []
        talk.core.listened(True, False, talk.now)
        talk.run()
        talk.handled()
        talk.handled()
        assert (handed(talk), acked(talk)) == (["m1", "m1", "m2"], [["1-0", "2-0"]])


class TestKnown:
    """C29, C30, C33, C35."""

    def test_everything_is_acknowledged_each_time_and_told_once(self) -> None:
        talk = Talk().connect()
        talk.took("")
        frames = [chat("m1", 1), receipt("delivered", "x", place=2), own("o1", 3)]
        frames.append({"type": "ownRead", "from": ASHA, "messageIds": ["m1"], "timestamp": 4, "streamId": "4-0"})
        for _ in range(3):
            talk.come(*frames)
            assert acked(talk) == [["1-0", "2-0", "3-0", "4-0"]]
        assert (len(came(talk)), len(talk.named("tick")), len(talk.named("own"))) == (1, 1, 1)

    @pytest.mark.parametrize("handler", [False, True])
    def test_known_by_streamid_or_by_sender_id_and_text(self, handler: bool) -> None:
        talk = Talk(handler=handler).connect()
        frames = [
            chat("m1", 1),
            chat("m1", 2),  # the same, stored again
            chat("other", 1),  # the same place
            chat("m1", 3, text="another text"),  # another chat
            chat("m1", 4, peer=BEN),  # another chat
        ]
        for frame in frames:
            talk.come(frame)
            if handler:
                talk.handled()
        assert [(event.message.peer, event.message.text) for event in talk.named("message")] == [
            (ASHA, "hello"),
            (ASHA, "another text"),
            (BEN, "hello"),
        ]

    def test_twice_in_one_array_is_handed_over_once(self) -> None:
        talk = Talk(handler=True).connect()
        talk.took("")
        talk.come(chat("m1", 1), chat("m1", 1), chat("m1", 2))
        talk.handled()
        assert (handed(talk), came(talk)) == (["m1"], ["m1"])
        assert set(acked(talk)[0]) == {"1-0", "2-0"}

    def test_ticks_only_go_forward(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="a1")
        talk.come(sent("a1"))
        for state in ("expired", "delivered", "expired", "read", "delivered", "something new"):
            talk.come(receipt(state, "a1"))
        assert [tick.state for tick in talk.named("tick")] == ["sent", "expired", "delivered", "read"]

    def test_a_receipt_before_its_own_is_kept_for_it(self) -> None:
        talk = Talk().connect()
        talk.come(receipt("delivered", "o1", place=1))
        talk.come(own("o1", 2))
        assert [(event.message.id, event.message.state) for event in talk.named("own")] == [("o1", "delivered")]

    @pytest.mark.parametrize("how", ["resync", "epoch"])
    def test_another_epoch_forgets_the_places_and_not_the_chats(self, how: str) -> None:
        talk = Talk().connect()
        talk.come(chat("m1", 1))
        if how == "resync":
            talk.come({"type": "resync", "epoch": "e2", "reason": "lost"})
            assert [event.reason for event in talk.named("resync")] == ["lost"]
        else:
            talk.close()
            talk.connect("e2")
        talk.come(chat("m1", 7))
        talk.come(chat("m2", 1))
        assert came(talk) == ["m1", "m2"]
        assert talk.kept().epoch == "e2"


class TestRead:
    """C34."""

    def test_at_most_a_hundred_a_frame(self) -> None:
        talk = Talk().connect()
        talk.core.read(ASHA, [f"m{number}" for number in range(250)], talk.now)
        talk.run()
        frames = [frame for frame in talk.took("ack") if frame["ackType"] == "read"]
        assert [len(frame["messageIds"]) for frame in frames] == [100, 100, 50]
        assert {frame["to"] for frame in frames} == {ASHA}

    def test_what_the_server_may_not_have_heard_is_sent_again_after_hello(self) -> None:
        talk = Talk()
        talk.core.read(ASHA, ["m1"], talk.now)
        talk.run()
        for _ in range(2):
            talk.connect()
            assert [frame["messageIds"] for frame in talk.took("ack")] == [["m1"]]
            talk.close()
        talk.connect()
        talk.wait(10)
        assert not talk.kept().reads
        talk.took("")
        talk.close()
        talk.connect()
        assert talk.took("ack") == []

    def test_a_pong_is_no_answer_to_it(self) -> None:
        """The server may refuse it later than it answers a ping that came behind it."""
        talk = Talk().connect()
        talk.core.read(ASHA, ["m1"], talk.now)
        talk.come({"type": "pong"})
        talk.took("")
        talk.close()
        talk.connect()
        assert [frame["messageIds"] for frame in talk.took("ack")] == [["m1"]]

    def test_what_was_refused_is_sent_again_as_a_whole(self) -> None:
        talk = Talk().connect()
        ids = [f"m{number}" for number in range(120)]
        talk.core.read(ASHA, ids, talk.now)
        talk.run()
        talk.took("")
        error = {"code": "unavailable", "message": "", "retryable": True, "retryAfter": 3, "messageIds": ids[:16]}
        talk.come({"type": "error", "component": "ack", **error})
        talk.core.read(ASHA, ["m120"], talk.now)
        talk.wait(2.9)
        assert talk.took("ack") == []
        talk.wait(0.2)
        assert [len(frame["messageIds"]) for frame in talk.took("ack")] == [100, 21]

    def test_a_final_refusal_is_not_sent_again(self) -> None:
        talk = Talk().connect()
        talk.core.read(ASHA, ["m1"], talk.now)
        talk.run()
        talk.come({"type": "error", "component": "ack", "code": "bad_frame", "message": "", "retryable": False})
        talk.took("")
        talk.wait(10)
        assert not talk.kept().reads
        assert talk.took("ack") == []

    def test_nothing_is_read_by_itself(self) -> None:
        talk = Talk().connect()
        talk.come(chat("m1"))
        talk.wait(60)
        assert [frame for frame in talk.sent if frame.get("ackType") == "read"] == []


def test_a_stop_hands_nothing_more_over_and_begins_no_message() -> None:
    """C39."""
    talk = Talk(handler=True).connect()
    talk.post(ASHA, id="a1")
    talk.post(ASHA, id="a2")
    talk.come(chat("m1", 1), chat("m2", 2))
    talk.took("")
    talk.core.stop_begins()
    assert not talk.core.is_quiet()
    talk.handled()
    talk.come(sent("a1"))
    assert (handed(talk), talk.core.is_quiet()) == (["m1"], True)
    talk.core.off(talk.now)
    talk.run()
    assert (talk.state.name, talk.ended, talk.core.deadline()) == ("off", [1000], None)
    assert talk.took("chat") == []
    assert [message.id for message in talk.kept().waiting] == ["a2"]


def test_a_stop_lets_the_handler_send_what_it_waits_for() -> None:
    """C39."""
    talk = Talk(handler=True).connect()
    talk.come(chat("m1", 1))
    talk.core.stop_begins()
    talk.took("")
    talk.post(ASHA, id="answer")
    assert [frame["messageId"] for frame in talk.took("chat")] == ["answer"]
    talk.come(sent("answer"))
    talk.handled()
    assert talk.core.is_quiet()
    talk.core.off(talk.now)
    talk.core.stopped("handler_failed", "It was too late.", talk.now)
    talk.run()
    assert talk.state.name == "off"
