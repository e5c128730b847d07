"""Whether a run was good: the invariants of the campaign's checker, and what only a simulation can see."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tools.chaos.checker.check import check
from tools.chaos.checker.report import Limits, Report
from tools.chaos.history import Event
from tools.simulate.faults import HEAL_SECONDS
from tools.simulate.timeline import START
from tools.simulate.world import Run

LEASE_GRACE: Final = 25.0
"""Two sweeps, which clamp leases after a clock jumped back, and what a client may be late."""
DEVICE_GRACE: Final = 10.0
"""Added to a lease, for which a server may stand still before it says which devices there are, and a ping."""
IN_FLIGHT_SECONDS: Final = 45.0
"""What was fetched before a block may still arrive: clients look away for up to 20 s, and connections are slow."""
OF_THE_CAMPAIGN: Final = "I14"
"""Judged here instead: people of a simulation may read before they acknowledge."""


@dataclass(frozen=True)
class Verdict:
    """``wrong``: one sentence each."""

    run: Run
    report: Report
    wrong: list[str]

    @property
    def is_good(self) -> bool:
        """Whether nothing was wrong."""
        return not self.wrong


def judge(run: Run) -> Verdict:
    """All that can be said of a run."""
    settings = run.settings
    limits = Limits(
        lease=settings.lease_seconds,
        lease_grace=LEASE_GRACE,
        heal=HEAL_SECONDS,
        in_flight=IN_FLIGHT_SECONDS,
        clock_set_back=[START + fault.at for fault in run.faults if fault.sets_clock_back],
        window=settings.window,
        device_known=settings.lease_seconds + settings.ping_seconds + DEVICE_GRACE,
    )
    report = check(run.history, limits=limits)
    wrong = [str(each) for each in report.violations if each.invariant != OF_THE_CAMPAIGN]
    wrong += [] if report.drained else ["not drained: something is stuck"]
    return Verdict(run, report, [*run.complaints, *wrong, *_beyond_window(run)])


def _beyond_window(run: Run) -> Iterator[str]:
    """I14. What was read, is of a sender who may be blocked by now, or was lost, is not in flight any more; nor is a
    copy that crossed its acknowledgement, also one on an earlier connection: a server that stood still may pass that on
    at any time."""
    done: set[tuple[object, ...]] = set()
    flying: defaultdict[int, dict[str, Event]] = defaultdict(dict)
    connections: defaultdict[str, list[int]] = defaultdict(list)
    for event in run.history:
        here = flying[event.connection]
        if event.kind == "delivery":
            if done.isdisjoint(((event.mobile, event.stream_id), (event.mobile, event.peer, event.message_id))):
                here[event.stream_id] = event
            if len(here) == run.settings.window + 1:
                yield f"I14: {len(here)} chats unacknowledged on connection {event.connection} of {event.mobile}"
        elif event.kind == "connecting":
            connections[event.mobile].append(event.connection)
        elif event.kind in ("block request", "ack", "read"):
            _land([flying[connection] for connection in connections[event.mobile]], event)
            done.update((event.mobile, stream_id) for stream_id in event.stream_ids)
            done.update((event.mobile, event.peer, message_id) for message_id in event.message_ids)
        elif event.kind in ("disconnected", "resync"):
            here.clear()


def _land(all_flying: Sequence[dict[str, Event]], event: Event) -> None:
    """Drop what a person acknowledged or read, and chats of a sender they blocked, on all of their connections."""
    for flying in all_flying:
        if event.kind == "ack":
            for stream_id in event.stream_ids:
                flying.pop(stream_id, None)
        else:
            _drop(flying, event.peer, event.message_ids)


def _drop(here: dict[str, Event], sender: str, names: Sequence[str]) -> None:
    """Chats of this sender; no names: all of them."""
    theirs = [at for at, chat in here.items() if chat.peer == sender and (not names or chat.message_id in names)]
    for stream_id in theirs:
        del here[stream_id]
