"""What is fetched next, and how entries become frames."""

from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from delivery.in_flight import InFlightWindow
from delivery.results import FIRST_ENTRY, Fetched
from delivery.session import mailbox_reader as module
from delivery.session.effects import FetchEntries
from delivery.session.mailbox_reader import Encoded, MailboxReader, State
from protocol.dialects import V1, Dialect, Seed
from protocol.entries import Chat, Entry
from tests.support.messaging import RAVI
from tests.support.sessions import chat_entry, receipt_entry


class Reading:
    """A reader with its window, at a time that stands still."""

    def __init__(self, size: int = 10, dialect: Dialect | None = None, newest: str = "") -> None:
        self.window, self.now = InFlightWindow(size), 100.0
        self.reader = MailboxReader(RAVI, "primary", dialect or V1(), (30.0, 2), self.now)
        self.reader.begin(newest)

    def next(self) -> FetchEntries | None:
        return self.reader.next(self.window, self.now)

    def mode(self) -> str | None:
        fetch = self.next()
        return None if fetch is None else fetch.mode

    def fetch(self, *entries: Entry, cursor: str = FIRST_ENTRY, notified: tuple[str, ...] = ()) -> Encoded:
        """The next fetch and its reply; these notifications come in between."""
        fetch = self.next()
        assert fetch is not None
        for stream_id in notified:
            self.reader.notify(stream_id)
        return self.reply(fetch, *entries, cursor=cursor)

    def reply(self, fetch: FetchEntries, *entries: Entry, cursor: str = FIRST_ENTRY) -> Encoded:
        result = Fetched("ok", cursor, len(entries), list(entries))
        return self.reader.fetched(fetch, result, self.window, self.now)

    def follow(self) -> "Reading":
        self.fetch()
        self.fetch()
        assert self.reader.take_synced(self.window)
        assert (self.next(), self.reader.state) == (None, State.FOLLOWING)
        return self


def modes(encoded: Encoded) -> list[str]:
    return [msgspec.json.decode(frame)["mode"] for frame in encoded.frames]


def test_nothing_is_fetched_before_the_lease_is_claimed() -> None:
    reader = MailboxReader(RAVI, "primary", V1(), (30.0, 2), 0.0)
    reader.prefetch()
    assert (reader.state, reader.next(InFlightWindow(9), 0.0)) == (State.UNCLAIMED, None)


def test_pending_entries_come_first_from_a_cursor_and_then_new_ones() -> None:
    reading = Reading()
    fetch = reading.next()
    assert fetch is not None
    assert (fetch.mode, fetch.cursor, fetch.count) == ("pending", FIRST_ENTRY, 10)
    assert reading.next() is None, "one fetch at a time"
    reading.reply(fetch, chat_entry(1), cursor="5-2")
    fetch = reading.next()
    assert fetch is not None
    assert (fetch.mode, fetch.cursor, fetch.count) == ("pending", "5-2", 9)
    reading.reply(fetch, chat_entry(2))
    assert reading.reader.state is State.FOLLOWING
    assert not reading.reader.take_synced(reading.window), "new entries may wait"
    reading.fetch(chat_entry(3))
    assert reading.reader.take_synced(reading.window)
    assert not reading.reader.take_synced(reading.window), "said once"
    assert reading.mode() is None


def test_no_more_than_a_batch_is_fetched_at_once() -> None:
    fetch = Reading(size=1000).next()
    assert fetch is not None
    assert fetch.count == module.BATCH


def test_a_notification_of_an_entry_that_was_read_fetches_nothing() -> None:
    reading = Reading().follow()
    reading.reader.notify("5-3")
    reading.fetch(*[chat_entry(n) for n in (1, 2, 3)])
    assert reading.mode() is None
    for stream_id in ("5-1", "5-3"):
        reading.reader.notify(stream_id)
        assert reading.mode() is None
    reading.reader.notify("5-10")
    assert reading.mode() == "new", "ids compare as numbers"


def test_notifications_during_a_fetch_lead_to_one_more_unless_it_brought_their_entries() -> None:
    reading = Reading().follow()
    reading.reader.notify("5-1")
    reading.fetch(chat_entry(1), notified=("5-2", "5-3"))
    reading.fetch(chat_entry(2), chat_entry(3))
    assert reading.mode() is None
    reading.reader.notify("5-4")
    reading.fetch(chat_entry(4), chat_entry(5), notified=("5-5",))
    assert reading.mode() is None


def test_behind_a_fetch_that_brought_all_it_asked_for_there_may_be_more() -> None:
    reading = Reading(size=1).follow()
    reading.reader.prefetch()
    reading.fetch(chat_entry(1))
    reading.window.forget(["5-1"])
    reading.reader.note_progress(reading.window, reading.now)
    assert reading.mode() == "new"


def test_a_full_window_is_not_fetched_for_until_half_of_it_is_free() -> None:
    reading = Reading(size=4).follow()
    reading.reader.notify("5-9")
    reading.fetch(*[chat_entry(n) for n in range(4)])
    assert reading.mode() is None
    for n, expected in ((0, None), (1, "new")):
        reading.window.forget([f"5-{n}"])
        reading.reader.note_progress(reading.window, reading.now)
        assert reading.mode() == expected


def test_a_window_is_stuck_since_it_was_filled_or_somebody_acknowledged() -> None:
    reading = Reading(size=1)
    reading.now = 200.0
    reading.fetch(chat_entry(1))
    assert reading.reader.stuck_seconds(reading.window, 205.0) == 5.0
    reading.window.forget(["5-1"])
    assert reading.reader.stuck_seconds(reading.window, 205.0) == 0.0


def test_overdue_entries_are_fetched_again_and_those_that_are_gone_forgotten() -> None:
    reading = Reading().follow()
    reading.reader.notify("5-3")
    reading.fetch(*[chat_entry(n) for n in (1, 2, 3)])
    reading.reader.check_overdue(reading.window, reading.now + 29)
    assert reading.mode() is None
    reading.now += 31
    reading.window.acknowledge(["5-3"])
    reading.reader.check_overdue(reading.window, reading.now)
    fetch = reading.next()
    assert fetch is not None
    assert (fetch.mode, fetch.ids) == ("again", ["5-1", "5-2"])
    assert len(reading.reply(fetch, chat_entry(1)).frames) == 1
    assert ("5-1" in reading.window, "5-2" in reading.window) == (True, False)
    reading.reader.check_overdue(reading.window, reading.now)
    assert reading.mode() is None


def test_an_entry_acknowledged_while_it_is_fetched_again_is_not_sent() -> None:
    reading = Reading().follow()
    reading.reader.notify("5-1")
    reading.fetch(chat_entry(1))
    reading.now += 31
    reading.reader.check_overdue(reading.window, reading.now)
    fetch = reading.next()
    assert fetch is not None
    reading.window.acknowledge(["5-1"])
    assert reading.reply(fetch, chat_entry(1)).frames == []


def test_after_a_failed_fetch_everything_pending_is_scanned_again_after_a_pause() -> None:
    reading = Reading().follow()
    reading.reader.notify("5-1")
    assert reading.mode() == "new"
    reading.reader.failed(reading.now)
    assert (reading.reader.state, reading.mode()) == (State.RETRYING, None)
    reading.now = reading.reader.retry_at
    assert (reading.mode(), reading.reader.retry_at) == ("pending", module.NEVER)


@pytest.mark.parametrize("mode", ["pending", "new"])
def test_a_notification_without_an_id_during_a_fetch_scans_from_the_beginning(mode: str) -> None:
    reading = Reading() if mode == "pending" else Reading().follow()
    if mode == "new":
        reading.reader.prefetch()
    reading.fetch(chat_entry(1), cursor="5-7", notified=("",))
    fetch = reading.next()
    assert fetch is not None
    assert (fetch.mode, fetch.cursor) == ("pending", FIRST_ENTRY)


def test_nothing_is_prefetched_before_the_backlog_is_through() -> None:
    reading = Reading()
    reading.reader.prefetch()
    reading.fetch(cursor="5-7")
    reading.reader.prefetch()
    reading.fetch()
    reading.fetch()
    assert reading.mode() is None
    assert reading.reader.take_synced(reading.window)
    reading.reader.prefetch()
    assert reading.mode() == "new"


def test_a_storage_that_is_behind_in_time_is_read_after_a_new_claim() -> None:
    reading = Reading().follow()
    reading.reader.notify("9-9")
    reading.fetch()
    reading.reader.begin("")
    reading.fetch()
    reading.fetch()
    reading.reader.notify("5-1")
    assert reading.mode() == "new"


def test_entries_that_waited_are_offline_and_counted_once() -> None:
    reading = Reading(newest="5-2")
    encoded = reading.fetch(chat_entry(1), chat_entry(2), chat_entry(3))
    assert modes(encoded) == ["offline", "offline", "online"]
    assert reading.reader.waited == 2
    assert reading.fetch(chat_entry(1), chat_entry(2)).frames == [], "they are in flight"
    assert reading.reader.waited == 2


def test_a_full_window_is_synced_when_all_that_waited_was_sent() -> None:
    reading = Reading(size=2, newest="5-2")
    reading.fetch(chat_entry(1))
    assert not reading.reader.take_synced(reading.window)
    reading.fetch(chat_entry(2))
    assert reading.next() is None
    assert reading.reader.take_synced(reading.window)


@pytest.mark.parametrize(("dialect", "receipts"), [(Seed(), ["5-2"]), (V1(), [])], ids=["seed", "wm.v1"])
def test_only_receipts_that_the_client_does_not_acknowledge_are_to_be_confirmed(
    dialect: Dialect, receipts: list[str]
) -> None:
    encoded = Reading(dialect=dialect).fetch(chat_entry(1), receipt_entry(2))
    assert (encoded.receipts, encoded.failed, len(encoded.frames)) == (receipts, [], 2)


def test_an_entry_that_was_acknowledged_early_is_in_flight_and_not_sent() -> None:
    reading = Reading()
    reading.window.keep_early_acks(["5-1"])
    encoded = reading.fetch(chat_entry(1), chat_entry(2))
    assert (encoded.acknowledged, len(encoded.frames)) == (["5-1"], 1)
    assert "5-1" in reading.window
    assert reading.window.early_acks is None, "all that was pending is known"


def test_an_entry_that_cannot_be_encoded_is_tried_once_on_a_connection() -> None:
    class Clumsy(V1):
        def chat(self, chat: Chat, to: str, mode: Any) -> list[bytes]:
            if chat.message_id == "poison":
                raise ValueError("cannot encode this")
            return super().chat(chat, to, mode)

    reading = Reading(dialect=Clumsy())
    with capture_logs() as logs:
        encoded = reading.fetch(chat_entry(1, "poison"), chat_entry(2))
        assert (encoded.failed, len(encoded.frames)) == (["5-1"], 1)
        reading.reader.begin("")
        assert reading.fetch(chat_entry(1, "poison")) == Encoded([], [], [], [])
    assert [line["event"] for line in logs] == ["an entry could not be encoded"]
    assert "hello" not in str(logs)


def test_an_entry_that_is_being_fetched_again_is_not_overdue_once_more() -> None:
    reading = Reading().follow()
    reading.reader.notify("5-1")
    reading.fetch(chat_entry(1))
    assert reading.mode() is None
    reading.now += 30
    reading.reader.check_overdue(reading.window, reading.now)
    fetch = reading.next()
    assert fetch is not None
    assert fetch.mode == "again"
    reading.now += 1
    reading.reader.check_overdue(reading.window, reading.now)  # the tick comes while Redis is asked
    assert len(reading.reply(fetch, chat_entry(1)).frames) == 1
    assert reading.mode() is None


def test_an_entry_that_cannot_be_decoded_is_counted_once_on_a_connection() -> None:
    reading = Reading().follow()
    reading.reader.notify("5-2")
    failed = []
    for _ in range(2):
        fetch = reading.next()
        assert fetch is not None
        result = Fetched("ok", FIRST_ENTRY, 2, [chat_entry(2)], undecoded=["5-1"])
        failed.append(reading.reader.fetched(fetch, result, reading.window, reading.now).failed)
        reading.reader.notify("")
    assert failed == [["5-1"], []]
