"""What all machines do: perform a step as the product would, keep the model in step, compare with Redis."""

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, ClassVar, NamedTuple, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from delivery.keys import mobile_of
from delivery.presence import Holder
from tests.delivery.models.clocks import START_MS, Clocks
from tests.delivery.models.office import Office
from tests.delivery.models.rough_link import NONE, Breakage, Fault, Ran
from tests.delivery.models.slot import Limits, Slot
from tests.delivery.models.truth import Truth, named
from tests.delivery.one_server import everybody

T = TypeVar("T")
HOUR_MS = 3_600_000
LEASE_MS = 60_000
FARTHEST_MS = 6 * HOUR_MS
FAULTS = [NONE, NONE, NONE, *(Fault(kind, 1) for kind in ("twice", "cut", "lost")), Fault("cut", 2)]
PICK = range(12)
SEEDS = st.integers(0, 2**64 - 1)
OFF = 3
EVENTS = [1_000, 20_000, 61_000, (1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1), "flush", "cut"]
AGES = [0, 0, 5_000, 59_999, 70_000]


class Deed(NamedTuple):
    """Something that may happen: how often in proportion, what with, and whether it can just now."""

    weight: int
    arguments: dict[str, Sequence[Any]]
    possible: Callable[[Any], bool]


def deed(weight: int = 2, possible: Callable[[Any], bool] = bool, /, **arguments: Sequence[Any]) -> Callable[[T], T]:
    """Like hypothesis' ``rule``, but all are drawn alike. Hypothesis leaves out half of the rules in an average example
    and likes to repeat what it drew: few examples would get as far as an ack of one of two devices."""

    def mark(method: T) -> T:
        method.deed = Deed(weight, arguments, possible)  # type: ignore[attr-defined]
        return method

    return mark


class RoughMachine(RuleBasedStateMachine):
    """``slots`` is the model, ``office`` the product."""

    knobs: ClassVar[dict[str, Any]] = {}

    def __init__(self, url: str, clocks: Clocks, breakage: Breakage | None = None) -> None:
        super().__init__()
        self.clocks = clocks
        clocks.reset()
        self.rows = everybody()
        self.office = Office(url, self.rows, clocks, breakage, **self.knobs)
        self.office.admin("FLUSHALL")
        settings = self.office.settings
        limits = Limits(
            settings.mailbox_limit, settings.mailbox_bytes, settings.mailbox_per_sender, settings.max_devices
        )
        self.slots = {mobile: Slot(mobile, row, clocks, limits, LEASE_MS) for mobile, row in self.rows.items()}
        self.holders: list[Holder] = []
        self.steps = 0
        self.lost = 0
        methods = {name: getattr(type(self), name, None) for name in dir(type(self))}
        self.deeds: dict[str, Deed] = {n: method.deed for n, method in methods.items() if hasattr(method, "deed")}

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        """Who is there at the start, and what does not happen this time."""
        dice = Random(seed)  # noqa: S311 - a throw of dice, not a secret
        self.settle_in(dice)
        for name in dice.sample(sorted(self.deeds), dice.randint(0, OFF)):
            del self.deeds[name]

    def settle_in(self, dice: Random) -> None:
        """Before the first deed."""

    @rule(seed=SEEDS)
    def something(self, seed: int) -> None:
        """The next deed."""
        dice = Random(seed)  # noqa: S311 - a throw of dice, not a secret
        names = [name for name, deed in self.deeds.items() if deed.possible(self) for _ in range(deed.weight)]
        name = dice.choice(names)
        arguments = {word: dice.choice(values) for word, values in self.deeds[name].arguments.items()}
        note(f"    {name}({', '.join(f'{word}={value!r}' for word, value in arguments.items())})")
        getattr(self, name)(**arguments)

    def teardown(self) -> None:
        self.office.close()

    # ---- one step

    def perform(
        self, main: str, work: Callable[[], Awaitable[T]], model: Callable[[Ran], Any], fault: Fault = NONE
    ) -> tuple[T, Any]:
        """Do it until it is answered. The model does what ran, as often as it ran; the answer, and the model's."""
        expected: Any = None
        for attempt in range(3):
            answer, log = self.office.run(work, fault if attempt == 0 else NONE)
            for ran in log:
                if ran.name == main:
                    expected = model(ran)
                else:
                    self.aside(ran)
            if answer is not None:
                return answer, expected
        raise AssertionError(f"{main} was refused for ever")

    def aside(self, ran: Ran) -> None:
        """A script that the product ran on the way."""
        slot, args = self.slots[self.owner(ran)], [str(arg) for arg in ran.args]
        if ran.name == "load":
            account, epoch, version, seen, *blocked = args
            slot.load(account, epoch, int(version), blocked, int(seen) if seen else None)
        elif ran.name == "forget":
            slot.forget(args[0])
        else:
            raise AssertionError(f"{ran.name} was not expected")

    @staticmethod
    def owner(ran: Ran) -> str:
        """Whose slot a script worked on: all its keys carry his tag."""
        (tag,) = {key.partition("{")[2].partition("}")[0] for key in ran.keys}
        mobile = mobile_of(f"person:{{{tag}}}".encode())
        assert mobile is not None
        return mobile

    # ---- leases, which every machine has

    def connect(self, mobile: str, device: str, server: str, fault: Fault) -> Holder:
        """A new connection."""
        holder = Holder(mobile, device, server, f"c{len(self.holders)}")
        self.holders.append(holder)
        self.claim(holder, fault, again=False)
        return holder

    def claim(self, holder: Holder, fault: Fault, *, again: bool) -> str:
        slot, account = self.slots[holder.mobile], self.rows[holder.mobile].account_id
        self.rows[holder.mobile].devices.append(holder.device)
        (verdict, before, newest, epoch), (modelled, replaced) = self.perform(
            "claim",
            lambda: self.office.claim(holder, again=again),
            lambda _: slot.claim(holder, account, again=again),
            fault,
        )
        assert verdict == modelled
        if verdict == "claimed":
            assert before == (replaced and (replaced.server_id, replaced.connection_id))
            assert newest == (named(max(slot.entries)) if slot.entries else "")
            assert epoch == slot.epoch
        else:
            self.rows[holder.mobile].devices.remove(holder.device)
        return verdict

    def pick(self, number: int) -> Holder:
        """Mostly one that holds its lease; sometimes one that lost it and has not noticed."""
        books = {mobile: slot.book for mobile, slot in self.slots.items()}
        held = [each for each in self.holders if books[each.mobile].held(each) == "ok"]
        live = [each for each in held if books[each.mobile].live(each.device)]
        among = live if live and number < 9 else self.holders
        return among[-1 - number % len(among)]

    @deed(2, lambda self: self.holders, number=PICK, fault=FAULTS)
    def claim_again(self, number: int, fault: Fault) -> None:
        self.claim(self.pick(number), fault, again=True)

    @deed(2, lambda self: self.holders, number=PICK, age=AGES, fault=FAULTS)
    def renew(self, number: int, age: int, fault: Fault) -> None:
        holder = self.pick(number)
        slot = self.slots[holder.mobile]
        (verdict, newest), modelled = self.perform(
            "renew",
            lambda: self.office.presence.renew(holder, age),
            lambda _: slot.book.renew(holder, age),
            fault,
        )
        assert verdict == modelled
        assert newest == (named(max(slot.entries)) if slot.entries and verdict == "ok" else "")

    @deed(2, lambda self: self.holders, number=PICK, age=AGES, fault=FAULTS)
    def release(self, number: int, age: int, fault: Fault) -> None:
        self.let_go(self.pick(number), age, fault)

    def let_go(self, holder: Holder, age: int, fault: Fault) -> None:
        verdict, modelled = self.perform(
            "release",
            lambda: self.office.presence.release(holder, age),
            lambda _: self.slots[holder.mobile].release(holder, age),
            fault,
        )
        assert verdict == modelled

    def sweep(self, mobile: str, gone: str, fault: Fault) -> None:
        ended, modelled = self.perform(
            "sweep", lambda: self.office.sweep(mobile, gone), lambda _: self.slots[mobile].book.sweep(gone), fault
        )
        assert ended == modelled

    def ask(self, mobile: str, asker: str, fault: Fault) -> str | int | None:
        """What ``asker`` is told; compared with the model."""
        slot = self.slots[mobile]

        async def told() -> tuple[int | str | None]:
            return (await self.office.presence.last_seen(mobile, asker),)

        (seen,), modelled = self.perform(
            "presence", told, lambda _: None if asker in slot.blocked else slot.book.presence(), fault
        )
        assert seen == modelled
        return seen

    # ---- the world

    @deed(2, event=EVENTS)
    def the_world_turns(self, event: str | int | tuple[int, int]) -> None:
        """Time passes, clocks jump, Redis forgets its scripts, connections break."""
        match event:
            case int():
                self.clocks.advance(event)
            case (redis, servers):
                self.jump("redis_ms", redis)
                self.jump("server_ms", servers)
                self.jumped(redis)
            case "flush":
                self.office.admin("SCRIPT", "FLUSH")
            case "cut":
                self.office.admin("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def jump(self, clock: str, hours: int) -> None:
        jumped = getattr(self.clocks, clock) + hours * HOUR_MS
        if abs(jumped - self.clocks.passed - START_MS) <= FARTHEST_MS:
            setattr(self.clocks, clock, jumped)

    def jumped(self, hours: int) -> None:
        """Redis' clock did."""

    @deed(1, lambda self: self.steps >= 25 and self.lost < 2)
    def redis_loses_everything(self) -> None:
        self.office.admin("FLUSHALL")
        self.lost += 1
        for mobile, slot in self.slots.items():
            slot.lose()
            self.forgotten(mobile)

    def forgotten(self, mobile: str) -> None:
        """Redis knows nothing of what was said to this person."""

    # ---- what must hold after every step

    @invariant()
    def redis_is_as_the_model(self) -> None:
        found, strange = self.office.look(list(self.slots))
        assert strange == set(), "keys that are nobody's"
        for mobile, slot in self.slots.items():
            self.compare(slot, found[mobile])
        self.clocks.advance(1)
        self.steps += 1

    def compare(self, slot: Slot, truth: Truth) -> None:
        assert truth.leases == {device: str(lease) for device, lease in slot.book.leases.items()}
        assert truth.last_seen == slot.book.last_seen
        assert truth.devices == slot.devices.keys()
        assert truth.blocked == slot.blocked
        assert truth.lasting - {"seen"} == slot.lasting(), "keys that never end"
