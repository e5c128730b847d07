"""What is in flight: a window of entries, each acked once, sent again while it is not."""

from delivery.in_flight import Acked, Flights
from protocol.entries import Chat, Entry, Receipt


def chat(n: int) -> Entry:
    return Chat(f"{n}-0", "9200000001", f"m-{n}", "hello")


def flying(*numbers: int, window: int = 4) -> Flights:
    """These chats are in flight since 100 s."""
    flights = Flights(window)
    for n in numbers:
        flights.start(chat(n), 100.0)
    return flights


def acked(n: int) -> Acked:
    return Acked(f"{n}-0", "9200000001", f"m-{n}")


def test_what_is_sent_takes_room_until_it_is_through() -> None:
    flights = flying(1, 2, 3)
    assert (len(flights), flights.room) == (3, 1)
    flights.ack(["1-0"])
    assert (len(flights), flights.room) == (3, 1), "its sender is not told yet"
    flights.land(["1-0"])
    assert (len(flights), flights.room) == (2, 2)


def test_there_is_never_less_room_than_none() -> None:
    flights = flying(1, 2, 3, window=2)
    assert (len(flights), flights.room) == (3, 0)


def test_an_ack_counts_once_and_only_for_what_is_in_flight() -> None:
    flights = flying(1, 2)
    flights.start(Receipt("3-0", "9200000001", "delivered", ["x-1"]), 100.0)
    assert flights.ack(["1-0", "1-0", "3-0", "9-0"]) == ([acked(1)], ["3-0"])
    assert flights.ack(["1-0", "2-0", "3-0"]) == ([acked(2)], [])
    flights.land(["1-0"])
    assert flights.ack(["1-0"]) == ([], []), "it has landed"


def test_after_a_failure_an_ack_counts_again() -> None:
    flights = flying(1, 2)
    flights.ack(["1-0", "2-0"])
    assert not flights.unacked("1-0")
    flights.resume(["1-0", "9-0"])
    assert [flights.unacked(stream_id) for stream_id in ("1-0", "2-0", "9-0")] == [True, False, False]
    assert flights.ack(["1-0", "2-0"]) == ([acked(1)], [])


def test_what_has_landed_is_known_until_it_is_settled() -> None:
    flights = flying(1)
    assert "1-0" in flights
    flights.land(["1-0"])
    assert "1-0" in flights, "it is pending in Redis, and must not be sent for that"
    flights.forget(["1-0", "9-0"])
    assert "1-0" not in flights
    assert "2-0" not in flights


def test_what_is_gone_takes_no_room() -> None:
    flights = flying(1, 2)
    flights.forget(["1-0"])
    assert (len(flights), flights.room) == (1, 3)
    assert flights.ack(["1-0"]) == ([], [])


def test_overdue_is_what_was_sent_long_ago_and_not_acked() -> None:
    flights = flying(1, 2)
    flights.start(chat(3), 101.0)
    flights.ack(["2-0"])
    assert flights.overdue(99.9, 3) == []
    assert flights.overdue(100.0, 3) == ["1-0"]
    assert flights.overdue(101.0, 3) == ["1-0", "3-0"]
    flights.resume(["2-0"])
    assert flights.overdue(100.0, 3) == ["1-0", "2-0"]


def test_what_was_sent_so_many_times_rests() -> None:
    flights = flying(1)
    for now in (200.0, 300.0):
        assert flights.overdue(now, 2) == ["1-0"]
        flights.start(chat(1), now)
        assert flights.overdue(now - 1, 2) == [], "it was just sent"
        assert len(flights) == 1
    assert flights.overdue(1_000.0, 2) == []
    assert flights.ack(["1-0"]) == ([acked(1)], []), "an ack is welcome all the same"


def test_chats_in_flight_are_found_by_their_sender_and_message_ids() -> None:
    flights = flying(1, 2, 3)
    flights.start(Receipt("4-0", "9200000001", "delivered", ["x-1"]), 100.0)
    assert flights.find("9200000001", ["m-3", "m-1", "m-9"]) == ["1-0", "3-0"]
    assert flights.find("9200000002", ["m-1"]) == []
    assert flights.find("9200000001", []) == []
