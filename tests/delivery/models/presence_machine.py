"""One person's devices come and go, with their ends late, doubled or never, while clocks jump."""

from hypothesis.stateful import invariant

from tests.delivery.models.clocks import Clocks
from tests.delivery.models.faulty_client import NONE, Fault
from tests.delivery.models.lease_machine import LeaseMachine
from tests.delivery.models.redis_state import RedisState
from tests.delivery.models.steps import FAULTS, step
from tests.support.messaging import ASHA, EVE, RAVI
from tools.chaos.breakages import Breakage
from tools.simulate.redis_model.mailbox_model import MailboxModel


class PresenceMachine(LeaseMachine):
    """I6: nobody is shown online for longer than a lease after their last sign of life."""

    def __init__(self, url: str, clocks: Clocks, breakage: Breakage | None = None) -> None:
        super().__init__(url, clocks, breakage)
        self.ghosts = False
        """Redis' clock went back, and nobody has swept since: leases are too long."""

    @step(2, device=["primary", "tablet"], server=["s1", "s2"], fault=FAULTS)
    def connects(self, device: str, server: str, fault: Fault) -> None:
        self.connect(RAVI, device, server, fault)

    @step(2, gone=["", "", "s1", "s2"], fault=FAULTS)
    def sweeps(self, gone: str, fault: Fault) -> None:
        self.sweep(RAVI, gone, fault)
        self.ghosts = False
        leases = self.models[RAVI].leases.by_device.values()
        assert all(lease.ends_at - self.clocks.redis_ms <= 60_000 for lease in leases)

    def jumped(self, hours: int) -> None:
        self.ghosts = self.ghosts or hours < 0

    @step(2, told=[True, False])
    def blocks_eve(self, told: bool) -> None:
        row = self.rows[RAVI]
        row.blocked = {} if row.blocked else {EVE: self.clocks.redis_ms}
        row.blocks_version += 1
        if told:

            async def replace() -> str:
                await self.product.people.replace_rules(RAVI, row)
                return "told"

            self.perform("", replace, lambda _: None)

    @step(2, asker=[ASHA, EVE], fault=FAULTS)
    def asks(self, asker: str, fault: Fault) -> None:
        self.ask(RAVI, asker, fault)

    @invariant()
    def nobody_is_a_ghost(self) -> None:
        leases = self.models[RAVI].leases
        alive = [lease for lease in leases.by_device.values() if lease.over_at > self.clocks.passed]
        shown = self.ask(RAVI, ASHA, NONE)
        if shown == "online" and not self.ghosts:
            assert alive, "a ghost"

    def compare(self, model: MailboxModel, state: RedisState) -> None:
        super().compare(model, state)
        assert state.mailbox is None
