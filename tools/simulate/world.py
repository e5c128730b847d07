"""One run: people talk for so long while things break, then everything heals, and what happened is judged."""

import hashlib
import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import structlog

from delivery.session.session import Session
from settings import Settings
from tools.chaos.history import KINDS as EVENTS
from tools.chaos.history import Event
from tools.simulate.faults import Fault, Schedule, plan
from tools.simulate.people import Population
from tools.simulate.server import Server
from tools.simulate.storage import DEVICES, Storage
from tools.simulate.timeline import EndlessError, Timeline

SERVERS: Final = 3
SWEEP_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 1800.0
"""A client may take 40 s to acknowledge, of windows of four entries."""
STEP_SECONDS: Final = 1.0
QUIET_SECONDS: Final = 100.0
"""Without news for so long, when storage lost something, nothing more is expected: longer than any redelivery."""
LEAVE_SECONDS: Final = 60.0
HASHED_AT: Final = 4096


@dataclass(frozen=True)
class Scenario:
    """What a run follows from. ``faults``: None: a plan of its own."""

    seed: int
    hours: float = 1.0
    people: int = 50
    faults: tuple[Fault, ...] | None = None


@dataclass
class Run:
    """What happened. ``complaints``: what the world itself saw to be wrong."""

    scenario: Scenario
    faults: list[Fault]
    history: list[Event]
    complaints: list[str]
    digest: str
    settings: Settings
    events: int
    trace: list[str] = field(default_factory=list)
    """Of each effect and its reply, if it was asked for."""


class World:
    """Everything there is. Nothing in it asks the real time, or depends on the order of a set."""

    def __init__(
        self, scenario: Scenario, session_class: type[Session] = Session, *, keeps_trace: bool = False
    ) -> None:
        dice = random.Random(f"{scenario.seed} settings")
        self.scenario = scenario
        self.settings = make_settings(dice)
        self.session_class = session_class
        self.timeline = Timeline()
        self.rng = random.Random(f"{scenario.seed} network")
        self.database_is_away = False
        self.storage_was_lost = False
        self._numbers = count(1)
        self._keeps_trace = keeps_trace
        self._trace: list[str] = []
        self._history: list[Event] = []
        self._complaints: dict[str, None] = {}
        self._hash, self._unhashed = hashlib.blake2b(digest_size=16), list[str]()
        self._progressed = 0.0
        self._server_numbers = count(1)
        people_dice = random.Random(f"{scenario.seed} people")
        self._pick = random.Random(f"{scenario.seed} servers")
        mobiles = [str(9_100_000_000 + number) for number in range(scenario.people)]
        self.storage = Storage(self.timeline, self.settings, mobiles, self._publish)
        self.places: list[Server] = []
        for _ in range(SERVERS):
            self.places.append(self._new_server())
        often = dice.choice((60.0, 120.0, 300.0))
        self.population = Population(self, people_dice, scenario.people, often, dice.choice((0.0, 0.03, 0.1)))
        self.faults = planned_faults(scenario)

    # ---- what the parts ask for

    def note(self, kind: str, **fields: Any) -> None:
        """An event of the history."""
        if missing := EVENTS[kind] - fields.keys():
            raise ValueError(f"{kind}: {sorted(missing)} missing")
        event = Event(n=len(self._history) + 1, t=round(self.timeline.now, 6), kind=kind, **fields)
        self._history.append(event)
        self._write(str(event))

    def trace(self, who: str, what: object) -> None:
        """An effect, or the reply to one."""
        if self._keeps_trace:
            self._trace.append(f"{self.timeline.now:.6f} {who} {_words(what)}")
        self._write(f"{self.timeline.now:.6f} {who} {type(what).__name__}")

    def report(self, what: str) -> None:
        """Something is wrong, whatever the history says."""
        self._complaints[f"{self.timeline.now:.3f} {what}"] = None

    def progress(self) -> None:
        """There is news."""
        self._progressed = self.timeline.now

    def next_number(self) -> int:
        """Of a socket or a session."""
        return next(self._numbers)

    def pick_server(self) -> Server | None:
        """One that seems to be there: a server that stands still is not known to."""
        accepting = [server for server in self.places if server.is_accepting]
        return self._pick.choice(accepting) if accepting else None

    def server(self, server_id: str) -> Server | None:
        """If it lives."""
        return next((server for server in self.places if server.id == server_id), None)

    def start_server(self, place: int) -> None:
        """A new process in that place."""
        self.places[place] = self._new_server()

    def _new_server(self) -> Server:
        return Server(f"s{next(self._server_numbers)}", self)

    def _publish(self, server_id: str, mobile: str, stream_id: str) -> None:
        server = self.server(server_id)
        if server is not None and stream_id == DEVICES:
            server.hear(server.devices_changed, mobile)
        elif server is not None:
            server.hear(server.notify, mobile, stream_id)

    def _sweep(self) -> None:
        for mobile in self.storage.accounts:
            self.storage.sweep(mobile)
        self.timeline.after(SWEEP_SECONDS, self._sweep)

    def _write(self, line: str) -> None:
        self._unhashed.append(line)
        if len(self._unhashed) >= HASHED_AT:
            self._hash.update("\n".join(self._unhashed).encode())
            self._unhashed.clear()

    # ---- the run

    def run(self) -> Run:
        """All of it."""
        with _captured_log(self.report):
            try:
                self._run()
            except EndlessError as error:
                self.report(str(error))
                self.note("drained", ok=False, waiting=self.population.unanswered + self.population.unreceipted)
        self._hash.update("\n".join(self._unhashed).encode())
        return Run(
            self.scenario,
            self.faults,
            self._history,
            list(self._complaints),
            self._hash.hexdigest(),
            self.settings,
            self.timeline.events,
            self._trace,
        )

    def _run(self) -> None:
        timeline, population = self.timeline, self.population
        self.timeline.after(SWEEP_SECONDS, self._sweep)
        population.begin()
        schedule = Schedule(self, self.faults, timeline.now)
        timeline.run_until(timeline.now + self.scenario.hours * 3600)
        while not schedule.is_quiet:
            timeline.run_until(timeline.now + STEP_SECONDS)
        population.wind_up()
        end = timeline.now + DRAIN_SECONDS
        while not (done := self._is_drained()) and timeline.now < end:
            timeline.run_until(timeline.now + STEP_SECONDS)
        for device in population.devices:
            self.note("outage", mobile=device.mobile, seconds=round(device.longest_outage, 3))
        self.note("drained", ok=done, waiting=population.unanswered + population.unreceipted)
        if not done:
            self._explain()
        population.end()
        timeline.run_until(timeline.now + LEAVE_SECONDS)
        for server in self.places:
            for connection in server.connections():
                self.report(f"{connection.holder.connection_id} never left")

    def _is_drained(self) -> bool:
        population = self.population
        if population.is_busy or population.unanswered:
            return False
        if self.storage_was_lost and self.timeline.now - self._progressed > QUIET_SECONDS:
            return self._waiting() == 0
        return population.unreceipted == 0 and self._waiting() == 0

    def _waiting(self) -> int:
        """Entries in mailboxes: everybody is there, and takes them."""
        return sum(len(mailbox.entries) for mailbox in self.storage.mailboxes.values())

    def _explain(self) -> None:
        for person in self.population.people:
            if person.wishes:
                self.report(f"{person.mobile} got no answer to {person.wishes}")
        for device in self.population.devices:
            awaited = self.population.unreceipted_of(device)
            if not device.is_connected or len(device.outbox) or awaited:
                state = f"connected {device.is_connected}, unanswered {len(device.outbox)}"
                self.report(f"{device.mobile} {device.place.device}: {state}, awaits {awaited[:3]}")
        for mobile, mailbox in self.storage.mailboxes.items():
            if mailbox.entries:
                pending = {name: len(group.pending) for name, group in mailbox.groups.items()}
                self.report(f"{len(mailbox.entries)} entries still wait for {mobile}, pending {pending}")


def planned_faults(scenario: Scenario) -> list[Fault]:
    """Those it names, or its seed's."""
    if scenario.faults is not None:
        return list(scenario.faults)
    return plan(random.Random(f"{scenario.seed} faults"), scenario.hours * 3600, SERVERS)


def make_settings(dice: random.Random) -> Settings:
    """The product's defaults, but for what a run varies."""
    return Settings(
        redis_url="unix://nowhere",
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),
        rate_limits="off",
        window=dice.choice((4, 16, 256)),
        data_frames_per_second=1_000_000,
        data_frames_burst=1_000_000,
    )


def _words(what: object) -> str:
    return f"{type(what).__name__}({what})" if isinstance(what, Exception) else repr(what)


class _captured_log:
    """While it lasts, what the sessions log as an error is reported, and nothing is printed."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._before: dict[str, Any] = {}

    def __enter__(self) -> None:
        self._before = structlog.get_config()
        structlog.configure(
            processors=[self._process],
            wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
            cache_logger_on_first_use=False,
        )

    def __exit__(self, *_error: object) -> None:
        structlog.configure(**self._before)

    def _process(self, _logger: object, _method: str, event: Any) -> Any:
        error = event.pop("exc_info", None)
        self._report(f"log: {event} {error!r}")
        raise structlog.DropEvent
