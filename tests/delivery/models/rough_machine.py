"""What all machines do: perform a step as the product would, keep the model in step, compare with Redis."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, ClassVar, TypeVar

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from delivery.keys import mobile_of
from delivery.presence import Holder
from tests.delivery.models.clocks import START_MS, Clocks
from tests.delivery.models.deeds import EVENTS, FARTHEST_MS, HOUR_MS, LEASE_MS, OFF, SEEDS, Deed, deed
from tests.delivery.models.office import Office
from tests.delivery.models.rough_link import NONE, Fault, Ran
from tests.delivery.models.shelf import Limits
from tests.delivery.models.slot import Slot
from tests.delivery.models.truth import Truth
from tests.support.messaging import everybody
from tools.chaos.breakages import Breakage

T = TypeVar("T")


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
            settings.mailbox_limit,
            settings.mailbox_bytes,
            settings.mailbox_per_sender,
            settings.max_devices,
            settings.mailbox_bytes_per_sender,
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
        elif ran.name == "forget_device":
            slot.forget(args[0])
        elif ran.name != "write":  # a plain command, allowed at maxmemory: its caller looks at what it did
            raise AssertionError(f"{ran.name} was not expected")

    @staticmethod
    def owner(ran: Ran) -> str:
        """Whose slot a script worked on: all its keys carry his tag."""
        (tag,) = {key.partition("{")[2].partition("}")[0] for key in ran.keys}
        mobile = mobile_of(f"person:{{{tag}}}".encode())
        assert mobile is not None
        return mobile

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
