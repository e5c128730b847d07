"""Connections come and go."""

from delivery.presence import Holder
from delivery.results import ClaimMode, Renewed
from tests.delivery.models.base_machine import BaseMachine
from tests.delivery.models.faulty_client import Fault, Ran
from tests.delivery.models.steps import AGES, FAULTS, PICK, step
from tools.simulate.redis_model.stream_ids import format_id


def late(ran: Ran) -> str:
    """A clock that jumped is asked once more."""
    return "late" if ran.reply[0] == b"late" else ""


class LeaseMachine(BaseMachine):
    """Leases, which every machine has."""

    def connect(self, mobile: str, device: str, server: str, fault: Fault) -> Holder:
        """A new connection."""
        holder = Holder(mobile, device, server, f"c{len(self.holders)}")
        self.holders.append(holder)
        if self.claim(holder, 0, fault, "first") == "unproven":
            self.claim(holder, 0, fault, "proven")
        return holder

    def claim(self, holder: Holder, age: int, fault: Fault, mode: ClaimMode) -> str:
        model, account = self.models[holder.mobile], self.rows[holder.mobile].account_id
        self.rows[holder.mobile].devices.append(holder.device)
        (verdict, before, newest, epoch), (modelled, replaced) = self.perform(
            "claim",
            lambda: self.product.claim(holder, age, mode),
            lambda ran: late(ran) or model.claim(holder, account, age, mode),
            fault,
        )
        assert verdict == modelled
        if verdict == "claimed":
            assert before == (replaced and (replaced.server_id, replaced.connection_id))
            assert newest == (format_id(max(model.entries)) if model.entries else "")
            assert epoch == model.epoch
        else:
            self.rows[holder.mobile].devices.remove(holder.device)
        return verdict

    def pick(self, number: int) -> Holder:
        """Mostly one that holds its lease; sometimes one that lost it and has not noticed."""
        leases = {mobile: model.leases for mobile, model in self.models.items()}
        held = [each for each in self.holders if leases[each.mobile].check_holder(each) == "ok"]
        live = [each for each in held if leases[each.mobile].is_live(each.device)]
        among = live if live and number < 9 else self.holders
        return among[-1 - number % len(among)]

    @step(2, lambda self: self.holders, number=PICK, age=AGES, fault=FAULTS)
    def claim_again(self, number: int, age: int, fault: Fault) -> None:
        self.claim(self.pick(number), age, fault, "again")

    @step(2, lambda self: self.holders, number=PICK, age=AGES, fault=FAULTS)
    def renew(self, number: int, age: int, fault: Fault) -> None:
        holder = self.pick(number)
        model = self.models[holder.mobile]
        renewed, modelled = self.perform(
            "renew",
            lambda: self.product.presence.renew(holder, age),
            lambda ran: late(ran) or model.leases.renew(holder, age),
            fault,
        )
        is_ok = modelled == "ok"
        newest = format_id(max(model.entries)) if model.entries and is_ok else ""
        assert renewed == Renewed(modelled, newest, devices=len(model.devices) if is_ok else 0)

    @step(2, lambda self: self.holders, number=PICK, age=AGES, fault=FAULTS)
    def release(self, number: int, age: int, fault: Fault) -> None:
        self.let_go(self.pick(number), age, fault)

    def let_go(self, holder: Holder, age: int, fault: Fault) -> None:
        verdict, modelled = self.perform(
            "release",
            lambda: self.product.presence.release(holder, age),
            lambda _: self.models[holder.mobile].release(holder, age),
            fault,
        )
        assert verdict == modelled

    def sweep(self, mobile: str, gone: str, fault: Fault) -> None:
        ended, modelled = self.perform(
            "sweep", lambda: self.product.sweep(mobile, gone), lambda _: self.models[mobile].leases.sweep(gone), fault
        )
        assert ended == modelled

    def ask(self, mobile: str, asker: str, fault: Fault) -> str | int | None:
        """What ``asker`` is told; compared with the model."""
        model = self.models[mobile]

        async def told() -> tuple[int | str | None]:
            return (await self.product.presence.last_seen(mobile, asker),)

        (seen,), modelled = self.perform("read_presence", told, lambda _: model.read_presence(asker), fault)
        assert seen == modelled
        return seen
