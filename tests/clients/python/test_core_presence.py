"""C36–C38: who is watched, and who types."""

from typing import Any

from tests.clients.python.support import ASHA, BEN, Talk, chat, refusal, sent


def presence(mobile_no: str, online: bool, **more: Any) -> dict[str, Any]:
    return {"type": "presence", "mobileNo": mobile_no, "online": online, **more}


def typing(active: bool) -> dict[str, Any]:
    return {"type": "typing", "from": ASHA, "active": active}


class TestWatching:
    """C36."""

    def asked(self, talk: Talk, kind: str = "watch") -> list[list[str]]:
        return [frame["mobileNos"] for frame in talk.took(kind)]

    def test_watched_again_after_each_hello_at_most_200_a_frame(self) -> None:
        talk = Talk()
        numbers = [str(919_300_000_000 + number) for number in range(450)]
        talk.core.watch(numbers)
        for _ in range(2):
            talk.connect()
            asked = self.asked(talk)
            assert [len(some) for some in asked] == [200, 200, 50]
            assert [number for some in asked for number in some] == numbers
            talk.close()

    def test_once_is_enough_and_unwatched_stays_so(self) -> None:
        talk = Talk().connect()
        for _ in range(2):
            talk.core.watch([ASHA, BEN, ASHA])
        talk.run()
        assert self.asked(talk) == [[ASHA, BEN]]
        talk.core.unwatch([ASHA, "919999999999"])
        talk.run()
        assert self.asked(talk, "unwatch") == [[ASHA]]
        talk.close()
        talk.connect()
        assert self.asked(talk) == [[BEN]]

    def test_nobody_is_shown_online_while_the_client_is_not(self) -> None:
        talk = Talk().connect()
        talk.core.watch([ASHA, BEN])
        talk.come(presence(ASHA, True), presence(BEN, False, lastSeen=7))
        talk.close()
        told = [(event.mobile_no, event.online, event.last_seen) for event in talk.named("presence")]
        assert told == [(ASHA, True, None), (BEN, False, 7), (ASHA, False, None)]

    def test_a_limit_is_waited_for_and_too_many_is_told(self) -> None:
        talk = Talk().connect()
        numbers = [str(919_300_000_000 + number) for number in range(20)]
        talk.core.watch(numbers)
        talk.core.watch([ASHA])
        talk.run()
        talk.took("")
        talk.come(refusal("rate_limited", True, "watch", mobileNos=numbers[:16], retryAfter=5))
        talk.come(refusal("too_many_watched", False, "watch", mobileNos=[ASHA]))
        assert [event.code for event in talk.named("notice")] == ["rate_limited", "too_many_watched"]
        talk.wait(4.9)
        assert self.asked(talk) == []
        talk.wait(0.1)
        assert self.asked(talk) == [numbers]
        talk.close()
        talk.connect()
        assert self.asked(talk) == [numbers], "what is too many is not asked for again"


class TestOwnTyping:
    """C37."""

    def told(self, talk: Talk) -> list[bool]:
        return [frame["active"] for frame in talk.took("typing")]

    def test_one_frame_in_three_seconds_and_an_end_after_five(self) -> None:
        talk = Talk().connect()
        for _ in range(30):
            talk.core.typing(ASHA, True, talk.now)
            talk.run()
            talk.wait(0.25)
        assert self.told(talk) == [True, True, True]
        talk.wait(4.7)
        assert self.told(talk) == []
        talk.wait(0.1)
        assert self.told(talk) == [False]

    def test_a_message_ends_it(self) -> None:
        talk = Talk().connect()
        talk.core.typing(ASHA, True, talk.now)
        talk.core.typing(BEN, True, talk.now)
        talk.post(ASHA, id="a1")
        assert [(frame["to"], frame["active"]) for frame in talk.took("typing")] == [
            (ASHA, True),
            (BEN, True),
            (ASHA, False),
        ]
        talk.come(sent("a1"))
        talk.core.typing(BEN, False, talk.now)
        talk.run()
        talk.wait(10)
        assert self.told(talk) == [False]

    def test_it_is_dropped_while_not_online(self) -> None:
        talk = Talk()
        talk.core.typing(ASHA, True, talk.now)
        talk.run()
        talk.connect()
        talk.wait(6)
        assert self.told(talk) == []
        talk.core.typing(ASHA, True, talk.now)
        talk.close()
        talk.took("")
        talk.connect()
        talk.wait(6)
        assert self.told(talk) == []


class TestTheirTyping:
    """C38."""

    def told(self, talk: Talk) -> list[bool]:
        return [event.active for event in talk.named("typing")]

    def test_it_ends_by_a_frame_a_chat_time_or_the_connection(self) -> None:
        for end in (
            lambda talk: talk.come(typing(False)),
            lambda talk: talk.come(chat("m1")),
            lambda talk: talk.wait(10),
            lambda talk: talk.close(),
        ):
            talk = Talk().connect()
            talk.come(typing(True))
            talk.wait(9)
            talk.come(typing(True))
            talk.wait(9)
            assert self.told(talk) == [True]
            end(talk)
            assert self.told(talk) == [True, False]
            talk.wait(30)
            assert self.told(talk) == [True, False]
