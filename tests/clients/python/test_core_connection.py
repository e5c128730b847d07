"""C9–C16: when the core connects, waits, and gives up."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from whatsapp_mini.errors import ApiError
from whatsapp_mini.messages import Message
from whatsapp_mini.sqlite_store import SqliteStore
from whatsapp_mini.store import Chat

from tests.clients.python.support import ASHA, Talk, chat


class TestOpening:
    """C9, C10, C14."""

    def test_nothing_is_sent_before_hello(self) -> None:
        talk = Talk()
        talk.post(ASHA)
        talk.core.watch([ASHA])
        talk.core.read(ASHA, ["m1"], talk.now)
        talk.core.connect_now()
        talk.run()
        talk.come(chat("m1"))
        assert talk.sent == []
        talk.connect()
        assert [frame["type"] for frame in talk.sent] == ["ack", "watch", "ack", "chat"]

    def test_a_socket_without_hello_is_left_after_ten_seconds(self) -> None:
        talk = Talk()
        talk.core.connect_now()
        talk.core.opening(talk.round, talk.now)
        talk.run()
        talk.wait(9.9)
        assert (talk.state.name, talk.ended) == ("connecting", [])
        talk.wait(0.1)
        assert (talk.state.name, talk.ended) == ("pausing", [None])

    @pytest.mark.parametrize(
        ("error", "name", "least", "most"),
        [
            (ApiError(0, "unreachable", ""), "pausing", 0, 1),
            (ApiError(404, "not_found", ""), "pausing", 0, 1),
            (ApiError(429, "too_many_requests", "", 7), "pausing", 7, 8),
            (ApiError(503, "unavailable", "", 0.5), "pausing", 0.5, 1.5),
            (ApiError(409, "too_many_devices", ""), "stopped", 0, 0),
        ],
    )
    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_a_refusal_pauses_or_stops(
        self, error: ApiError, name: str, least: float, most: float, share: float
    ) -> None:
        talk = Talk()
        talk.dice.share = share
        talk.core.connect_now()
        talk.core.refused(talk.round, error, talk.now)
        talk.run()
        assert talk.state.name == name
        assert talk.state.until is None or talk.state.until == talk.now + (most if share else least)

    def test_what_an_older_round_says_is_passed_over(self) -> None:
        talk = Talk().connect()
        older = talk.round
        talk.close()
        talk.connect()
        talk.core.closed(older, 4508, "", talk.now)
        talk.core.refused(older, ApiError(409, "too_many_devices", ""), talk.now)
        talk.core.received(older, "no JSON", talk.now)
        assert talk.state.name == "online"


class TestPauses:
    """C11, C12."""

    def pauses(self, talk: Talk, count: int) -> list[float]:
        """The lengths of so many pauses in a row."""
        lengths = []
        for _ in range(count):
            talk.connect()
            talk.close()
            assert talk.state.until is not None
            lengths.append(talk.state.until - talk.now)
            talk.wait(lengths[-1])
            assert talk.state.name == "connecting"
        return lengths

    def test_the_limit_doubles_up_to_half_a_minute(self) -> None:
        talk = Talk()
        talk.dice.share = 1.0
        assert self.pauses(talk, 8) == pytest.approx([1, 2, 4, 8, 16, 30, 30, 30])

    def test_the_jitter_is_full(self) -> None:
        talk = Talk()
        talk.dice.share = 0.0
        assert self.pauses(talk, 3) == [0, 0, 0]

    def test_ten_seconds_online_end_the_row(self) -> None:
        talk = Talk()
        talk.dice.share = 1.0
        self.pauses(talk, 4)
        talk.connect()
        talk.wait(9)
        talk.close()
        assert talk.state.until == pytest.approx(talk.now + 16)
        talk.connect()
        talk.wait(10)
        talk.close()
        assert talk.state.until == pytest.approx(talk.now + 1)

    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_draining_says_how_long(self, share: float) -> None:
        talk = Talk().connect()
        talk.dice.share = share
        talk.come({"type": "error", "code": "draining", "component": "server", "retryAfter": 12.5, "retryable": True})
        talk.close(4012)
        assert talk.state.until == talk.now + 12.5 + share
        talk.connect()
        talk.close()
        assert talk.state.until is not None
        assert talk.state.until <= talk.now + 2, "it was for that connection alone"

    def test_a_person_or_the_machine_ends_a_pause(self) -> None:
        talk = Talk().connect()
        talk.close()
        talk.core.connect_now()
        talk.run()
        assert (talk.state.name, len(talk.opened)) == ("connecting", 2)
        talk.core.connect_now()
        talk.run()
        assert len(talk.opened) == 2, "it is connecting already"


class TestCloseCodes:
    """C13."""

    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1006, 1007, 1009, 1012, 3000, 4001, 4003, 4005, 4012, 4499])
    def test_these_pause_and_connect(self, code: int) -> None:
        talk = Talk().connect()
        talk.close(code)
        assert talk.state.name == "pausing"
        talk.wait(2)
        assert talk.state.name == "connecting"

    @pytest.mark.parametrize("code", [1008, 1011, 4503, 4504, 4508, 4500, 4999])
    def test_these_stop_until_somebody_decides(self, code: int) -> None:
        talk = Talk().connect()
        talk.close(code, "why")
        assert (talk.state.name, talk.state.code, talk.state.reason) == ("stopped", code, "why")
        talk.wait(3600)
        assert len(talk.opened) == 1
        talk.core.connect_now()
        talk.run()
        assert talk.state.name == "connecting"

    def test_4501_refreshes_and_connects_at_once_but_once(self) -> None:
        talk = Talk().connect()
        talk.close(4501)
        assert (talk.state.name, talk.opened[-1].refresh) == ("connecting", True)
        talk.connect()
        talk.close(4501)
        assert talk.state.name == "pausing"

    def test_4509_is_the_end_of_the_session(self) -> None:
        talk = Talk().connect()
        talk.close(4509, "logged out")
        assert (talk.state.name, talk.state.code, talk.forgotten) == ("loggedOut", 4509, 1)
        talk.core.connect_now()
        talk.wait(3600)
        assert len(talk.opened) == 1
        talk.core.log_in()
        talk.run()
        assert talk.state.name == "connecting"


class TestLife:
    """C15, C16."""

    def test_silence_is_answered_with_a_ping_and_then_with_another_connection_at_once(self) -> None:
        talk = Talk().connect()
        talk.wait(19.9)
        assert talk.took("ping") == []
        talk.wait(0.1)
        assert len(talk.took("ping")) == 1
        talk.wait(9.9)
        assert talk.state.name == "online"
        talk.wait(0.1)
        assert (talk.state.name, talk.ended, len(talk.opened)) == ("connecting", [None], 2)

    def test_anything_that_comes_is_a_sign_of_life(self) -> None:
        talk = Talk().connect()
        for _ in range(10):
            talk.wait(15)
            talk.come({"type": "something new"})
        assert talk.took("ping") == []
        talk.wait(21)
        talk.come({"type": "pong"})
        talk.wait(19)
        assert (len(talk.took("ping")), talk.state.name) == (1, "online")

    def test_the_server_says_how_long_silence_may_be(self) -> None:
        talk = Talk().connect(pingSeconds=3)
        talk.wait(3)
        assert len(talk.took("ping")) == 1

    def test_a_second_dead_connection_in_a_row_pauses(self) -> None:
        talk = Talk().connect()
        talk.wait(30)
        assert talk.state.name == "connecting"
        talk.connect()
        talk.wait(30)
        assert talk.state.name == "pausing"
        talk.connect()
        talk.wait(15)
        talk.come({"type": "pong"})
        talk.wait(30)
        assert talk.state.name == "connecting", "it was alive in between"

    def test_what_is_unknown_is_passed_over(self) -> None:
        talk = Talk().connect()
        talk.come({"type": "news"}, {"no": "type"}, {**chat("m1"), "new": {"field": [1]}})
        talk.raw('[1, "two", null, []]')
        talk.come({"type": "chat", "from": 5}, {"type": "sent"}, {"type": "ack", "messageIds": "x"}, {"type": "error"})
        assert talk.state.name == "online"
        assert [event.message.id for event in talk.named("message")] == ["m1"]

    @pytest.mark.parametrize("number", ["1" + "0" * 400, "1e999", "NaN", "-1", "[1]"])
    def test_a_number_that_is_none_is_passed_over(self, number: str) -> None:
        talk = Talk().connect()
        for frame in (
            '{"type":"hello","epoch":"e1","pingSeconds":N}',
            '{"type":"error","code":"x","component":"watch","mobileNos":N,"retryAfter":N}',
            '{"type":"presence","mobileNo":"919100000001","online":false,"lastSeen":N}',
            '{"type":"error","code":"draining","retryAfter":N}',
        ):
            talk.raw(frame.replace(":N", f":{number}"))
        talk.close(1001)
        assert talk.state.until is not None
        assert talk.now <= talk.state.until <= talk.now + 1

    def test_what_no_store_can_take_is_replaced(self, tmp_path: Path) -> None:
        talk = Talk().connect()
        talk.raw(json.dumps(chat("m\ud800", text="\udc00 \U0001f600") | {"timestamp": 10**30, "from": "9\ud800"}))
        (event,) = talk.named("message")
        assert (event.message.text, event.message.timestamp) == ("\ufffd \U0001f600", 0)
        (kept,) = asyncio.run(_kept(SqliteStore(tmp_path / "store"), event.message))
        assert kept.change.message.id == "m\ufffd"

    @pytest.mark.parametrize("data", ["{", "", b"\x00", "[" * 100_000, '{"type":"chat"'])
    def test_what_is_no_json_ends_the_connection_and_counts_for_nothing(self, data: str | bytes) -> None:
        talk = Talk().connect()
        talk.took("")
        talk.raw(data)
        assert (talk.state.name, talk.ended, talk.sent) == ("pausing", [None], [])


async def _kept(store: SqliteStore, message: Message) -> list[Any]:
    try:
        return await store.apply([Chat(message)])
    finally:
        await store.close()
