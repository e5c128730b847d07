"""UserRecords send, collect, acknowledge, block and leave in any order, while replies are lost and clocks jump."""

from delivery.keys import ENTRY_ACKNOWLEDGED
from tests.delivery.models.chat_machine import TO, ChatMachine
from tests.delivery.models.faulty_client import NONE, Fault
from tests.delivery.models.redis_state import RedisState
from tests.delivery.models.steps import FAULTS, HOUR_MS, PICK, step
from tests.support.messaging import ASHA, EVE, RAVI, Row
from tools.simulate.redis_model.mailbox_model import MailboxModel, count, count_own
from tools.simulate.redis_model.stream_ids import Id, format_id

WHEN = ["gone", "gone", "at any time", "logged out"]


class MailboxMachine(ChatMachine):
    """Mailboxes, with all that is around them."""

    # ---- blocks

    @step(2, blocker=TO, other=[ASHA, EVE], told=[True, True, False], fault=FAULTS)
    def blocks_or_unblocks(self, blocker: str, other: str, told: bool, fault: Fault) -> None:
        """``told``: the server lives to tell Redis after PostgreSQL."""
        row = self.rows[blocker]
        if row.blocked.pop(other, None) is None:
            row.blocked[other] = self.clocks.redis_ms
        row.blocks_version += 1
        if other not in row.blocked:
            self.standing[blocker].discard(other)
        if told:
            self.replace_rules(blocker, row.blocks_version, row.blocked, fault)
            self.standing[blocker] = {*row.blocked}

    @step(2, lambda self: self.rows[RAVI].blocks_version, back=range(0, 3), fault=FAULTS)
    def old_blocks_come_late(self, back: int, fault: Fault) -> None:
        version = self.rows[RAVI].blocks_version - back
        if version <= self.models[RAVI].blocks_version or not back:
            blocked = self.rows[RAVI].blocked if not back else {EVE: 1}
            self.replace_rules(RAVI, version, blocked, fault)

    def replace_rules(self, mobile: str, version: int, blocked: dict[str, int], fault: Fault) -> None:
        row = Row(self.rows[mobile].account_id, version, dict(blocked))

        async def told() -> str:
            await self.product.people.replace_rules(mobile, row)
            return "told"

        self.perform("", told, lambda _: None, fault)

    # ---- devices and background jobs

    @step(4, mobile=TO, number=PICK, when=WHEN, ago=[None, None, -1, 0], late=[True, False], fault=FAULTS)
    def forget(self, mobile: str, number: int, when: str, ago: int | None, late: bool, fault: Fault) -> None:
        """``logged out`` is known to PostgreSQL alone at first: the device goes when its room is needed.
        ``late``: what its connections had in flight is acked all the same."""
        model, row = self.models[mobile], self.rows[mobile]
        devices = sorted(model.devices, key=model.leases.is_live) or ["never seen"]
        device = devices[number % 4 % len(devices)]
        if when == "logged out":
            row.devices = [each for each in row.devices if each != device]
            return
        if when == "gone" and device in model.leases.by_device:
            self.let_go(model.leases.by_device[device].holder, 0, fault)
        limit = [] if ago is None else [model.devices.get(device, 0) + ago]
        verdict, modelled = self.perform(
            "forget_device",
            lambda: self.product.presence.devices.forget(mobile, device, *limit),
            lambda _: model.forget_device(device, *limit),
            fault,
        )
        assert verdict == modelled
        zombies = [each for each in self.holders if (each.mobile, each.device) == (mobile, device)]
        for holder in zombies if late and verdict == "forgotten" else ():
            self.acknowledge(holder, list(self.flying[holder].values()), fault, NONE, then="settle")

    @step(2, mobile=TO, gone=["", "s1"], fault=FAULTS)
    def sweeps(self, mobile: str, gone: str, fault: Fault) -> None:
        self.sweep(mobile, gone, fault)

    @step(
        2,
        mobile=TO,
        too_long=[0, 10**12],
        number=PICK,
        asker=[ASHA, EVE],
        fault=FAULTS,
    )
    def looks(self, mobile: str, too_long: int, number: int, asker: str, fault: Fault) -> None:
        """The job looks for what is stuck; somebody asks who is online; our own code fails on an entry."""
        servers, modelled = self.perform(
            "find_stuck",
            lambda: self.product.stuck(mobile, too_long),
            lambda _: self.models[mobile].find_stuck(too_long),
            fault,
        )
        assert servers == modelled
        self.ask(mobile, asker, fault)
        model = self.models[mobile]
        waiting = [at for at in model.entries if (mobile, at) not in self.noted]
        if waiting:
            at = waiting[number % len(waiting)]
            count, _ = self.perform(
                "", lambda: self.product.mailbox.count_failure(mobile, format_id(at)), lambda _: None
            )
            model.dead_letters[at] = model.dead_letters.get(at, 0) + 1
            assert count == model.dead_letters[at]

    @step(2, mobile=TO, number=PICK, extra=range(0, 2), at=range(1, 6), fault=FAULTS)
    def expires(self, mobile: str, number: int, extra: int, at: int, fault: Fault) -> None:
        """What is older than the ``number``-th waiting leaves; its senders are told."""
        model = self.models[mobile]
        waiting = model.due(2**52)
        limit = waiting[number % len(waiting)][0][0] + extra if waiting else 1_000
        days, self.before_ms = self.product.before(limit)
        due = model.due(self.before_ms)
        known = {said: model.records[said].state for _, said in due if said is not None}
        before = set(self.expired)
        self.perform("", lambda: self.product.expire(mobile, days), lambda _: None, fault._replace(at=at))
        for place, said in due:
            if said is None:
                continue
            news = (said[0], mobile, said[1])
            assert news not in self.expired - before or known[said] not in "adr", "I4: delivered, and then expired"
            if place in model.entries:
                assert model.is_in_flight(place), "it waits too long"
            elif known[said] == "a":
                assert news in self.delivered, "its sender was never told"
                self.acked.add((mobile, place))
            else:
                assert news in self.expired or known[said] in "dr", "its sender knows nothing"

    @step(1, lambda self: self.done >= 25)
    def days_pass(self) -> None:
        """What has left may be forgotten; what waits may not."""
        self.clocks.advance(30 * HOUR_MS)
        for model in self.models.values():
            for record in model.records.values():
                record.old = not record.waits
            # Whether a copy that left so long ago is made once more, nobody says.
            model.own_records = {key: record for key, record in model.own_records.items() if record.waits}

    @step(2, lambda self: self.done >= 25, mobile=TO)
    def the_number_gets_another_owner(self, mobile: str) -> None:
        row = self.rows[mobile]
        row.account_id += "'"
        row.blocked, row.blocks_version, row.devices = {}, 0, []
        self.standing[mobile] = set()
        self.connects(mobile, "primary", "s1", NONE)
        self.forgotten(mobile)

    # ---- what must hold after every step

    def compare(self, model: MailboxModel, state: RedisState) -> None:
        super().compare(model, state)
        self.check_by_itself(model, state)
        assert state.mailbox == (list(model.entries) if model.exists else None)
        assert state.groups == model.groups
        assert state.shadows == list(model.shadows)
        assert state.tally == model.tally()
        self.compare_entry_states(model, state.entry_states)

    def compare_entry_states(self, model: MailboxModel, states: dict[Id, int]) -> None:
        """How often our own code failed; and a note that a device has a chat leaves with the chat."""
        noted, late = ({at for mobile, at in some if mobile == model.mobile} for some in (self.noted, self.late))
        failures = {at: state for at, state in states.items() if at not in noted}
        assert failures == {at: count for at, count in model.dead_letters.items() if at not in noted}
        assert {at for at, state in states.items() if state >= ENTRY_ACKNOWLEDGED} <= {*model.entries} | late

    def check_by_itself(self, model: MailboxModel, state: RedisState) -> None:
        """What the contract says of Redis, whatever the model does."""
        there = set(state.mailbox or ())
        counted = count("", state.texts) | count("p", state.believed) | count_own(state.own)
        assert state.tally == counted, "I7: counts are not the state"
        for name, group in state.groups.items():
            assert group.pending.keys() <= there, f"{name}: nil entries"
            assert all(at <= group.read for at in group.pending)
        passed = [
            at for at in there if all(at <= group.read and at not in group.pending for group in state.groups.values())
        ]
        assert not passed, "every device has passed it and it is still there"
        if state.mailbox is not None:
            assert state.groups.keys() == (state.devices or {"primary"})
        if "seen" in state.lasting:
            assert state.texts or state.believed or state.own, "records that never end, of nothing that waits"
        must = sum(not record.old for record in [*model.records.values(), *model.own_records.values()])
        assert len(state.remembered) >= must, "I2: a retry would not be recognised"
        self.check_nothing_is_lost(model.mobile, there | {*state.places})

    def check_nothing_is_lost(self, mobile: str, there: set[Id]) -> None:
        """I1: what got an answer waits, or a device acked it, or its sender was told that it expired."""
        for (to, at), (sender, name) in self.stored.items():
            if to == mobile and at not in there and (to, at) not in self.acked:
                assert (sender, to, name) in self.expired, f"lost: {sender} {name} {format_id(at)}"
