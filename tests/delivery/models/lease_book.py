"""Who holds a person's devices, in plain Python: what docs/decisions/0004 says, and nothing of how it is done."""

from dataclasses import dataclass, field

from delivery.presence import Holder
from tests.delivery.models.clocks import Clocks


@dataclass
class Lease:
    """In ms of Redis' clock. ``over`` is when, by a clock that never jumps, nobody may be shown online any more."""

    holder: Holder
    evidence: int
    till: int
    over: int

    def __str__(self) -> str:
        return f"{self.holder.server_id} {self.holder.connection_id} {self.evidence} {self.till}"


@dataclass
class LeaseBook:
    """The leases of one person."""

    clocks: Clocks
    lease_ms: int
    leases: dict[str, Lease] = field(default_factory=dict)
    last_seen: int = 0

    def held(self, holder: Holder) -> str:
        """``ok``, ``gone`` or ``replaced``, whether or not the lease is over."""
        lease = self.leases.get(holder.device)
        if lease is None:
            return "gone"
        return "ok" if lease.holder == holder else "replaced"

    def live(self, device: str) -> bool:
        """Somebody is connected on it."""
        lease = self.leases.get(device)
        return lease is not None and lease.till > self.clocks.redis_ms

    def servers(self) -> list[str]:
        """Those with a live connection, in any order."""
        return sorted(lease.holder.server_id for device, lease in self.leases.items() if self.live(device))

    def take(self, holder: Holder, age: int = 0) -> Holder | None:
        """A sign of life ``age`` ms ago; returns whom this holder replaces."""
        before = self.leases.get(holder.device)
        evidence = self.clocks.redis_ms - age
        over = self.clocks.passed - age + self.lease_ms
        self.leases[holder.device] = Lease(holder, evidence, evidence + self.lease_ms, over)
        return before.holder if before is not None and before.holder != holder else None

    def renew(self, holder: Holder, age: int) -> str:
        verdict = self.held(holder)
        if verdict == "ok":
            self.take(holder, age)
        return verdict

    def release(self, holder: Holder, age: int) -> str:
        verdict = self.held(holder)
        if verdict == "ok":
            self._end(holder.device, self.clocks.redis_ms - age)
        return verdict

    def drop(self, device: str) -> None:
        """The device goes, and a lease that is over with it."""
        if device in self.leases:
            self._end(device, min(self.leases[device].evidence, self.clocks.redis_ms))

    def sweep(self, gone: str) -> list[str]:
        """Returns the devices whose leases ended; none is longer than allowed afterwards."""
        now, ended = self.clocks.redis_ms, []
        for device, lease in list(self.leases.items()):
            if lease.till <= now or lease.holder.server_id == gone:
                ended.append(device)
                self._end(device, min(lease.evidence, now))
            elif lease.till - now > self.lease_ms:
                lease.evidence, lease.till = now, now + self.lease_ms
                lease.over = self.clocks.passed + self.lease_ms
        return sorted(ended)

    def presence(self) -> str | int | None:
        """As told to somebody who may know."""
        if self.servers():
            return "online"
        return max([self.last_seen, *(lease.evidence for lease in self.leases.values())]) or None

    def _end(self, device: str, seen: int) -> None:
        del self.leases[device]
        self.last_seen = max(self.last_seen, seen)
