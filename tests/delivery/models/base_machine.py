"""What all machines do: perform a step as the product would, keep the model in step, compare with Redis."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, ClassVar, TypeVar

from hypothesis import currently_in_test_context, note
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from delivery.keys import mobile_of
from delivery.presence import Holder
from tests.delivery.models.clocks import START_MS, Clocks
from tests.delivery.models.faulty_client import NONE, Fault, Ran
from tests.delivery.models.product import Product
from tests.delivery.models.redis_state import RedisState
from tests.delivery.models.steps import EVENTS, FARTHEST_MS, HOUR_MS, LEASE_MS, OFF, SEEDS, Step, step
from tests.support.messaging import everybody
from tools.chaos.breakages import Breakage
from tools.simulate.redis_model.mailbox_model import Limits, MailboxModel

T = TypeVar("T")


class BaseMachine(RuleBasedStateMachine):
    """``models``: what must be in Redis, by mobile number. ``product``: what runs the scripts."""

    knobs: ClassVar[dict[str, Any]] = {}

    def __init__(self, url: str, clocks: Clocks, breakage: Breakage | None = None) -> None:
        super().__init__()
        self.clocks = clocks
        clocks.reset()
        self.rows = everybody()
        self.product = Product(url, self.rows, clocks, breakage, **self.knobs)
        self.product.admin("FLUSHALL")
        settings = self.product.settings
        limits = Limits(
            settings.mailbox_limit,
            settings.mailbox_bytes,
            settings.mailbox_per_sender,
            settings.max_devices,
            settings.mailbox_bytes_per_sender,
        )
        self.models = {mobile: MailboxModel(mobile, clocks, limits, LEASE_MS) for mobile in self.rows}
        self.holders: list[Holder] = []
        self.done = 0
        self.lost = 0
        methods = {name: getattr(type(self), name, None) for name in dir(type(self))}
        self.possible: dict[str, Step] = {n: method.step for n, method in methods.items() if hasattr(method, "step")}

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        """Who is there at the start, and what does not happen this time."""
        dice = Random(seed)  # noqa: S311 - a throw of dice, not a secret
        self.settle_in(dice)
        for name in dice.sample(sorted(self.possible), dice.randint(0, OFF)):
            del self.possible[name]

    def settle_in(self, dice: Random) -> None:
        """Before the first step."""

    @rule(seed=SEEDS)
    def something(self, seed: int) -> None:
        """The next step."""
        dice = Random(seed)  # noqa: S311 - a throw of dice, not a secret
        names = [name for name, step in self.possible.items() if step.possible(self) for _ in range(step.weight)]
        name = dice.choice(names)
        arguments = {word: dice.choice(values) for word, values in self.possible[name].arguments.items()}
        if currently_in_test_context():
            note(f"    {name}({', '.join(f'{word}={value!r}' for word, value in arguments.items())})")
        getattr(self, name)(**arguments)

    def play(self, dice: Random, steps: int) -> None:
        """Without hypothesis: the beginning and so many steps, with what must hold after each."""
        self.begin(dice.getrandbits(64))
        self.check_all()
        for _ in range(steps):
            self.something(dice.getrandbits(64))
            self.check_all()

    def check_all(self) -> None:
        """Every invariant."""
        for each in self.invariants:
            each.function(self)

    def teardown(self) -> None:
        self.product.close()

    # ---- one step

    def perform(
        self, main: str, work: Callable[[], Awaitable[T]], model: Callable[[Ran], Any], fault: Fault = NONE
    ) -> tuple[T, Any]:
        """Do it until it is answered. The model does what ran, as often as it ran; the answer, and the model's."""
        expected: Any = None
        for attempt in range(3):
            answer, log = self.product.run(work, fault if attempt == 0 else NONE)
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
        model, args = self.models[self.owner(ran)], [str(arg) for arg in ran.args]
        if ran.name == "load":
            account, epoch, version, seen, _privacy, _since, *blocks = args
            blocked = {who: int(since) for who, since in zip(blocks[::2], blocks[1::2], strict=True)}
            model.load(account, epoch, int(version), blocked, int(seen) if seen else None)
        elif ran.name == "forget_device":
            model.forget_device(args[0])
        elif ran.name not in (
            "write",
            "read_sides",
        ):  # a plain command, allowed at maxmemory: its caller looks at what it did
            raise AssertionError(f"{ran.name} was not expected")

    @staticmethod
    def owner(ran: Ran) -> str:
        """Whose model a script worked on: all its keys carry the person's hash tag."""
        (tag,) = {key.partition("{")[2].partition("}")[0] for key in ran.keys}
        mobile = mobile_of(f"person:{{{tag}}}".encode())
        assert mobile is not None
        return mobile

    # ---- the world

    @step(2, event=EVENTS)
    def the_world_changes(self, event: str | int | tuple[int, int]) -> None:
        """Time passes, clocks jump, Redis forgets its scripts, connections break."""
        match event:
            case int():
                self.clocks.advance(event)
            case (redis, servers):
                self.jump("redis_ms", redis)
                self.jump("server_ms", servers)
                self.jumped(redis)
            case "flush":
                self.product.admin("SCRIPT", "FLUSH")
            case "cut":
                self.product.admin("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def jump(self, clock: str, hours: int) -> None:
        jumped = getattr(self.clocks, clock) + hours * HOUR_MS
        if abs(jumped - self.clocks.passed - START_MS) <= FARTHEST_MS:
            setattr(self.clocks, clock, jumped)

    def jumped(self, hours: int) -> None:
        """Redis' clock did."""

    @step(1, lambda self: self.done >= 25 and self.lost < 2)
    def redis_loses_everything(self) -> None:
        self.product.admin("FLUSHALL")
        self.lost += 1
        for mobile, model in self.models.items():
            model.clear()
            self.forgotten(mobile)

    def forgotten(self, mobile: str) -> None:
        """Redis knows nothing of what this person got."""

    # ---- what must hold after every step

    @invariant()
    def redis_is_as_the_model(self) -> None:
        found, strange = self.product.look(list(self.models))
        assert strange == set(), "keys that are nobody's"
        for mobile, model in self.models.items():
            self.compare(model, found[mobile])
        self.clocks.advance(1)
        self.done += 1

    def compare(self, model: MailboxModel, state: RedisState) -> None:
        assert state.leases == {device: str(lease) for device, lease in model.leases.by_device.items()}
        assert state.last_seen == model.leases.last_seen
        assert state.devices == model.devices.keys()
        assert state.blocked == model.blocked.keys()
        assert state.frozen == model.blocked
        assert state.lasting - {"seen", "parked"} == model.lasting(), "keys that never end"
