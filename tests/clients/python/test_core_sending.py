"""C17–C26: what the core sends, how often, and in which order."""

import pytest
from whatsapp_mini.errors import SendFailed
from whatsapp_mini.messages import Failure

from tests.clients.python.support import ASHA, BEN, ME, Talk, receipt, refusal, sent


def on_the_way(talk: Talk) -> list[str]:
    """The messageIds sent since the last time."""
    return [frame["messageId"] for frame in talk.took("chat")]


class TestAccepting:
    """C17, C18."""

    def test_each_text_gets_an_id_of_its_own_at_random(self) -> None:
        talk = Talk()
        ids = {talk.post(ASHA) for _ in range(50)}
        assert len(ids) == 50
        assert all(len(id) == 32 for id in ids)
        assert talk.post(ASHA, id="mine-1") == "mine-1"

    def test_half_a_surrogate_pair_is_replaced_before_it_is_kept(self) -> None:
        talk = Talk()
        talk.post(ASHA, "a\ud83d b \ud83d\ude00 \ude00c")
        assert talk.kept().waiting[0].text == "a\ufffd b 😀 \ufffdc"

    @pytest.mark.parametrize(
        ("to", "text", "id", "code"),
        [
            (ASHA, "", None, "message_empty"),
            (ASHA, "é" * 51, None, "message_too_large"),
            (ME, "hello", None, "self_message"),
            ("12345", "hello", None, "bad_mobile"),
            ("0919100000001", "hello", None, "bad_mobile"),
            (ASHA, "hello", "", "bad_message_id"),
            (ASHA, "hello", "a b", "bad_message_id"),
            (ASHA, "hello", "ü", "bad_message_id"),
            (ASHA, "hello", "x" * 129, "bad_message_id"),
        ],
    )
    def test_what_the_server_would_refuse_is_refused_at_once(
        self, to: str, text: str, id: str | None, code: str
    ) -> None:
        talk = Talk().connect()
        with pytest.raises(SendFailed) as failed:
            talk.core.prepared(to, text, id, 1)
        assert failed.value.code == code

    def test_before_the_first_hello_16_kib_are_allowed_and_what_json_makes_longer_than_64_is_not(self) -> None:
        core = Talk().core
        assert core.prepared(ASHA, "x" * 16_384, "x" * 128, 1)
        for text in ("x" * 16_385, "\x01" * 12_000):
            with pytest.raises(SendFailed, match="message_too_large"):
                core.prepared(ASHA, text, None, 1)


class TestOrder:
    """C19–C21."""

    def test_one_for_each_recipient_is_on_the_way(self) -> None:
        talk = Talk().connect()
        for number in range(3):
            talk.post(ASHA, id=f"a{number}")
            talk.post(BEN, id=f"b{number}")
        assert on_the_way(talk) == ["a0", "b0"]
        talk.come(sent("b0", BEN))
        assert on_the_way(talk) == ["b1"]
        talk.come(sent("a0"), sent("b1", BEN))
        assert on_the_way(talk) == ["a1", "b2"]

    def test_at_most_32_are_on_the_way_and_the_oldest_goes_first(self) -> None:
        talk = Talk()
        for number in range(40):
            talk.post(str(919_200_000_000 + number), id=f"m{number}")
        talk.connect()
        assert on_the_way(talk) == [f"m{number}" for number in range(32)]
        talk.come(sent("m7", "919200000007"))
        assert on_the_way(talk) == ["m32"]

    def test_sent_is_the_answer_when_it_is_kept(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="m1")
        talk.keeps = []
        talk.come(sent("m1", timestamp=77))
        assert talk.outcomes == {}
        talk.answer()
        assert talk.outcomes == {"m1": 77}
        assert talk.kept().waiting == []
        assert [(tick.ids, tick.state, tick.timestamp) for tick in talk.named("tick")] == [(("m1",), "sent", 77)]

    def test_a_second_sent_is_no_news(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="m1")
        talk.come(sent("m1"))
        talk.come(sent("m1"), sent("unknown"))
        assert len(talk.named("tick")) == 1

    def test_a_receipt_for_what_waits_counts_as_sent(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="m1")
        talk.post(ASHA, id="m2")
        talk.took("")
        talk.come(receipt("delivered", "m1", place=8))
        assert talk.outcomes == {"m1": 8}
        assert on_the_way(talk) == ["m2"]
        assert [message.id for message in talk.kept().waiting] == ["m2"]

    @pytest.mark.parametrize("how", ["reconnect", "resync", "epoch"])
    def test_what_has_no_answer_is_sent_again_with_the_same_id_and_text(self, how: str) -> None:
        talk = Talk().connect()
        for number in range(2):
            talk.post(BEN, f"to Ben {number}", id=f"b{number}")
            talk.post(ASHA, f"to Asha {number}", id=f"a{number}")
        before = talk.took("chat")
        if how == "resync":
            talk.come({"type": "resync", "epoch": "e2", "reason": "lost"})
        else:
            talk.close()
            talk.connect("e1" if how == "reconnect" else "e2")
        assert talk.took("chat") == before
        talk.come(sent("b0", BEN), sent("a0"))
        assert on_the_way(talk) == ["b1", "a1"]

    def test_what_waited_in_the_store_goes_out_in_its_order(self) -> None:
        before = Talk()
        for number in range(3):
            before.post(ASHA, id=f"m{number}")
        talk = Talk(before.store).connect()
        went = []
        while ids := on_the_way(talk):
            went += ids
            talk.come(*(sent(id) for id in ids))
        assert went == ["m0", "m1", "m2"]


class TestRefusals:
    """C22–C25."""

    def test_one_that_may_be_repeated_holds_its_recipient_longer_each_time(self) -> None:
        talk = Talk().connect()
        talk.dice.share = 0.0
        talk.post(ASHA, id="a1")
        talk.post(ASHA, id="a2")
        talk.took("")
        for least in (3, 6, 12, 24, 48, 60, 60):
            talk.come(refusal("mailbox_full", True, messageId="a1", to=ASHA, retryAfter=3))
            for _ in range(least - 1):
                talk.wait(1)
                talk.come({"type": "pong"})
            assert on_the_way(talk) == []
            talk.wait(1)
            assert on_the_way(talk) == ["a1"]
        talk.come(sent("a1"))
        assert on_the_way(talk) == ["a2"]
        talk.come(refusal("rate_limited", True, messageId="a2", to=ASHA))
        talk.wait(1)
        assert on_the_way(talk) == ["a2"], "after an answer it begins with one second again"

    def test_others_go_on_meanwhile(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="a1")
        talk.come(refusal("rate_limited", True, messageId="a1", to=ASHA, retryAfter=30))
        talk.took("")
        talk.post(BEN, id="b1")
        assert on_the_way(talk) == ["b1"]

    def test_retry_after_is_never_cut_short(self) -> None:
        talk = Talk().connect()
        talk.dice.share = 0.0
        talk.post(ASHA, id="a1")
        talk.took("")
        talk.come(refusal("rate_limited", True, messageId="a1", to=ASHA, retryAfter=90))
        for _ in range(89):
            talk.wait(1)
            talk.come({"type": "pong"})
        assert on_the_way(talk) == []

    def test_a_hold_outlives_the_connection(self) -> None:
        talk = Talk().connect()
        talk.dice.share = 0.0
        talk.post(ASHA, id="a1")
        talk.come(refusal("rate_limited", True, messageId="a1", to=ASHA, retryAfter=9))
        talk.took("")
        talk.close()
        talk.connect()
        assert on_the_way(talk) == []
        talk.wait(9)
        assert on_the_way(talk) == ["a1"]

    def test_a_final_one_fails_and_the_next_goes_on(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="a1")
        talk.post(ASHA, id="a2")
        talk.took("")
        talk.come(refusal("no_such_person", False, messageId="a1", to=ASHA))
        assert talk.outcomes == {"a1": Failure("no_such_person", "It is refused.")}
        assert [event.message.error.code for event in talk.named("failed")] == ["no_such_person"]
        assert on_the_way(talk) == ["a2"]
        assert [message.id for message in talk.kept().failed] == ["a1"]

    def test_only_a_reused_id_is_replaced_when_a_person_retries(self) -> None:
        talk = Talk().connect()
        for code, same in (("message_id_reused", False), ("mailbox_full", True), ("no_answer", True)):
            id = talk.post(ASHA)
            talk.come(refusal(code, False, messageId=id, to=ASHA))
            assert (talk.core.new_id(talk.core.failed[ASHA, id]) == id) is same

    def test_the_component_decides_whether_it_is_about_a_chat(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="a1")
        talk.took("")
        talk.come(refusal("bad_stream_id", False, "ack", streamIds=["x"]))
        talk.come(refusal("unknown_type", False, "typing"))
        assert (talk.outcomes, on_the_way(talk)) == ({}, [])
        assert [notice.code for notice in talk.named("notice")] == ["bad_stream_id", "unknown_type"]

    def test_one_without_a_name_that_may_be_repeated_pauses_all(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="a1")
        talk.took("")
        talk.come(refusal("unavailable", True, "frame", retryAfter=4))
        talk.post(BEN, id="b1")
        talk.wait(3.9)
        assert on_the_way(talk) == []
        talk.wait(0.1)
        assert on_the_way(talk) == ["a1", "b1"]

    def test_one_without_a_name_is_found_by_sending_one_at_a_time(self) -> None:
        talk = Talk().connect()
        for peer, id in ((ASHA, "a1"), (BEN, "b1"), ("919100000003", "c1")):
            talk.post(peer, id=id)
        talk.took("")
        talk.come(refusal("bad_json", False, "frame"))
        talk.come(sent("a1"), refusal("bad_json", False, "frame"))
        talk.post("919100000004", id="d1")
        assert on_the_way(talk) == [], "answers may still be on their way"
        talk.wait(2)
        assert on_the_way(talk) == ["b1"]
        talk.come(refusal("bad_json", False, "frame"))
        assert talk.outcomes["b1"] == Failure("bad_json", "It is refused.")
        assert on_the_way(talk) == ["c1"]
        talk.come(sent("c1", "919100000003"))
        assert on_the_way(talk) == ["d1"]
        assert talk.outcomes.keys() == {"a1", "b1", "c1"}

    def test_one_that_is_alone_by_chance_is_sent_once_more_too(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="a1")
        talk.post(BEN, id="b1")
        talk.come(refusal("bad_json", False, "frame"))
        talk.come(sent("a1"), refusal("bad_frame", False, "frame"))
        assert "b1" not in talk.outcomes, "it was sent among others"
        talk.took("")
        talk.wait(2)
        assert on_the_way(talk) == ["b1"]

    def test_a_single_one_is_sent_once_more_before_it_has_failed(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="a1")
        talk.come(refusal("bad_json", False, "frame"))
        talk.took("")
        talk.wait(2)
        assert on_the_way(talk) == ["a1"]
        talk.come(refusal("bad_json", False, "frame"))
        assert "a1" in talk.outcomes


class TestNoAnswer:
    """C26."""

    def test_after_ten_seconds_the_connection_is_given_up_though_it_lives(self) -> None:
        talk = Talk().connect()
        talk.post(ASHA, id="a1")
        talk.wait(9)
        talk.come({"type": "pong"})
        assert talk.state.name == "online"
        talk.wait(1)
        assert (talk.state.name, talk.ended) == ("pausing", [None])
        talk.took("")
        talk.connect()
        assert on_the_way(talk) == ["a1"]

    @pytest.mark.parametrize("code", [1002, 1007, 1009, 4503, None])
    def test_after_five_ends_that_may_be_its_fault_it_has_failed(self, code: int | None) -> None:
        talk = Talk()
        talk.post(ASHA, id="a1")
        for _ in range(5):
            assert talk.outcomes == {}
            talk.connect()
            talk.wait(10) if code is None else talk.close(code)
        assert talk.outcomes["a1"] == Failure("no_answer", "The server gave no answer to it.")
        talk.took("")
        talk.connect()
        assert on_the_way(talk) == []

    @pytest.mark.parametrize("code", [1000, 1001, 1006, 4003, 4004, 4012])
    def test_other_ends_are_not_its_fault(self, code: int) -> None:
        talk = Talk()
        talk.post(ASHA, id="a1")
        for _ in range(20):
            talk.connect()
            talk.close(code)
        assert talk.outcomes == {}

    def test_after_the_second_it_is_sent_alone(self) -> None:
        talk = Talk()
        talk.post(ASHA, id="a1")
        for _ in range(2):
            talk.connect()
            talk.close(1009)
        talk.post(BEN, id="b1")
        talk.took("")
        talk.connect()
        assert on_the_way(talk) == ["a1"]
        talk.come(sent("a1"))
        assert on_the_way(talk) == ["b1"]
