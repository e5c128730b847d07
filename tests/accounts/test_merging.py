"""Repeated events of one device are one row. None is lost, and the first and the last stay true."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from accounts.merging import QUIET_SECONDS, WINDOW_SECONDS, Event, Merger
from models import EventKind

A = "919800000001"
START = datetime(2026, 1, 1, tzinfo=UTC)
CONNECT, DISCONNECT = EventKind.CONNECT, EventKind.DISCONNECT


class Time:
    """A clock by hand, and what was passed on."""

    def __init__(self, most: int = 1000) -> None:
        self.now = 0.0
        self.merger = Merger(most, lambda: self.now)
        self.rows: list[Event] = []

    def add(self, kind: EventKind, device: str = "phone", mobile: str = A, reason: str = "") -> Event:
        event = Event(kind, mobile, device_id=device, reason=reason, at=START + timedelta(seconds=self.now))
        if (passed := self.merger.pass_on(event)) is not None:
            self.rows.append(passed)
        return event

    def go(self, seconds: float) -> None:
        self.now += seconds
        self.rows += self.merger.due()

    def at(self) -> list[tuple[EventKind, float, int]]:
        return [(row.kind, (row.at - START).total_seconds(), row.times) for row in self.rows]


def test_first_events_are_not_held() -> None:
    time = Time()
    time.add(CONNECT)
    time.add(DISCONNECT)
    time.add(CONNECT, "tablet")
    time.add(CONNECT, mobile="919800000002")
    assert [row.times for row in time.rows] == [1] * 4


def test_the_first_connect_and_the_last_disconnect_are_kept() -> None:
    time = Time()
    for _ in range(10):
        time.add(CONNECT)
        time.go(1)
        time.add(DISCONNECT)
        time.go(1)
    time.go(WINDOW_SECONDS)
    assert time.at() == [(CONNECT, 0, 1), (DISCONNECT, 1, 1), (DISCONNECT, 19, 9), (CONNECT, 2, 9)]
    assert len(time.merger) == 0


def test_a_loop_that_never_ends_is_two_rows_a_minute() -> None:
    time = Time()
    for _ in range(600):
        time.add(CONNECT)
        time.add(DISCONNECT)
        time.go(1)
    assert 2 * 10 <= len(time.rows) <= 2 * 11
    assert sum(row.times for row in [*time.rows, *time.merger.everything()]) == 1200


def test_a_disconnect_that_stays_the_last_one_is_not_held_for_long() -> None:
    time = Time()
    time.add(DISCONNECT)
    time.go(1)
    time.add(DISCONNECT)
    time.go(QUIET_SECONDS)
    assert time.at() == [(DISCONNECT, 0, 1), (DISCONNECT, 1, 1)]


def test_log_ins_and_log_outs_are_never_held() -> None:
    time = Time()
    for _ in range(5):
        time.add(EventKind.LOGIN)
        time.add(EventKind.LOGOUT)
    assert len(time.rows) == 10


def test_beyond_the_limit_events_are_not_merged() -> None:
    time = Time(most=3)
    for number in range(10):
        time.add(CONNECT, f"{number}")
        time.add(CONNECT, f"{number}")
    assert len(time.rows) == 3 + 2 * 7


deeds = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([CONNECT, DISCONNECT]), st.sampled_from(["phone", "tablet"])),
        st.floats(0, 80),
    ),
    max_size=60,
)


@given(deeds)
def test_nothing_is_lost_and_the_newest_disconnect_is_among_the_rows(done: list[tuple[EventKind, str] | float]) -> None:
    time, given_ = Time(), list[Event]()
    for deed in done:
        if isinstance(deed, float):
            time.go(deed)
        else:
            given_.append(time.add(*deed))
    rows = [*time.rows, *time.merger.everything()]
    counted = Counter[tuple[EventKind, str]]()
    for row in rows:
        counted[row.kind, row.device_id] += row.times
    assert counted == Counter((each.kind, each.device_id) for each in given_)
    for device in ("phone", "tablet"):
        ends = [each.at for each in given_ if each.kind is DISCONNECT and each.device_id == device]
        assert max(ends, default=None) == max(
            (row.at for row in rows if row.kind is DISCONNECT and row.device_id == device), default=None
        )
        begins = [each.at for each in given_ if each.kind is CONNECT and each.device_id == device]
        assert min(begins, default=None) == min(
            (row.at for row in rows if row.kind is CONNECT and row.device_id == device), default=None
        )
