"""Connections come and go."""

from delivery.presence import Holder
from delivery.results import ClaimMode
from tests.delivery.models.deeds import AGES, FAULTS, PICK, deed
from tests.delivery.models.rough_link import Fault, Ran
from tests.delivery.models.rough_machine import RoughMachine
from tests.delivery.models.truth import named


def late(ran: Ran) -> str:
    """A clock that jumped is asked once more."""
    return "late" if ran.reply[0] == b"late" else ""


class LeaseMachine(RoughMachine):
    """Leases, which every machine has."""

    def connect(self, mobile: str, device: str, server: str, fault: Fault) -> Holder:
        """A new connection."""
        holder = Holder(mobile, device, server, f"c{len(self.holders)}")
        self.holders.append(holder)
        if self.claim(holder, 0, fault, "first") == "unproven":
            self.claim(holder, 0, fault, "proven")
        return holder

    def claim(self, holder: Holder, age: int, fault: Fault, mode: ClaimMode) -> str:
        slot, account = self.slots[holder.mobile], self.rows[holder.mobile].account_id
        self.rows[holder.mobile].devices.append(holder.device)
        (verdict, before, newest, epoch), (modelled, replaced) = self.perform(
            "claim",
            lambda: self.office.claim(holder, age, mode),
            lambda ran: late(ran) or slot.claim(holder, account, age, mode),
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

    @deed(2, lambda self: self.holders, number=PICK, age=AGES, fault=FAULTS)
    def claim_again(self, number: int, age: int, fault: Fault) -> None:
        self.claim(self.pick(number), age, fault, "again")

    @deed(2, lambda self: self.holders, number=PICK, age=AGES, fault=FAULTS)
    def renew(self, number: int, age: int, fault: Fault) -> None:
        holder = self.pick(number)
        slot = self.slots[holder.mobile]
        (verdict, newest), modelled = self.perform(
            "renew",
            lambda: self.office.presence.renew(holder, age),
            lambda ran: late(ran) or slot.book.renew(holder, age),
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
            "read_presence", told, lambda _: None if asker in slot.blocked else slot.book.presence(), fault
        )
        assert seen == modelled
        return seen
