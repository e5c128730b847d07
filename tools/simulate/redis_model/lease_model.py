"""The leases of one person in plain Python: what docs/decisions/0004 says, and nothing of how the scripts do it.

No I/O, no pytest, no hypothesis.
"""

from dataclasses import dataclass, field
from typing import Protocol

from delivery.presence import Holder


class Clocks(Protocol):
    """What a model asks for the time, in ms."""

    @property
    def redis_ms(self) -> int:
        """Redis' clock, which may jump."""

    @property
    def passed(self) -> int:
        """Since the beginning; never jumps."""


@dataclass
class Lease:
    """In ms of Redis' clock. ``over_at`` is when, by a clock that never jumps, nobody may be shown online any more."""

    holder: Holder
    alive_at: int
    ends_at: int
    over_at: int

    def __str__(self) -> str:
        return f"{self.holder.server_id} {self.holder.connection_id} {self.alive_at} {self.ends_at}"


@dataclass
class LeaseModel:
    """The leases of one person, by device, and when they were last seen."""

    clocks: Clocks
    lease_ms: int
    by_device: dict[str, Lease] = field(default_factory=dict)
    last_seen: int = 0

    def check_holder(self, holder: Holder) -> str:
        """``ok``, ``gone`` or ``replaced``, whether or not the lease is over."""
        lease = self.by_device.get(holder.device)
        if lease is None:
            return "gone"
        return "ok" if lease.holder == holder else "replaced"

    def is_live(self, device: str) -> bool:
        """Whether somebody is connected on this device."""
        lease = self.by_device.get(device)
        return lease is not None and lease.ends_at > self.clocks.redis_ms

    def live_servers(self, but: str = "") -> list[str]:
        """The servers with a live connection on a device other than ``but``, sorted."""
        live = [device for device in self.by_device if device != but and self.is_live(device)]
        return sorted(self.by_device[device].holder.server_id for device in live)

    def take(self, holder: Holder, age: int = 0) -> Holder | None:
        """A lease from a sign of life ``age`` ms ago; returns the holder it replaces."""
        before = self.by_device.get(holder.device)
        alive_at = self.clocks.redis_ms - age
        over_at = self.clocks.passed - age + self.lease_ms
        self.by_device[holder.device] = Lease(holder, alive_at, alive_at + self.lease_ms, over_at)
        return before.holder if before is not None and before.holder != holder else None

    def renew(self, holder: Holder, age: int) -> str:
        """The verdict of the script."""
        verdict = self.check_holder(holder)
        if verdict == "ok":
            self.take(holder, age)
        return verdict

    def release(self, holder: Holder, age: int) -> str:
        """The verdict of the script."""
        verdict = self.check_holder(holder)
        if verdict == "ok":
            self._end(holder.device, self.clocks.redis_ms - age)
        return verdict

    def forget(self, device: str) -> None:
        """The device goes, and a lease that is over with it."""
        if device in self.by_device:
            self._end(device, min(self.by_device[device].alive_at, self.clocks.redis_ms))

    def sweep(self, gone_server: str) -> list[str]:
        """Returns the devices whose leases ended, sorted. No lease is longer than allowed afterwards."""
        now, ended = self.clocks.redis_ms, []
        for device, lease in list(self.by_device.items()):
            if lease.ends_at <= now or lease.holder.server_id == gone_server:
                ended.append(device)
                self._end(device, min(lease.alive_at, now))
            elif lease.ends_at - now > self.lease_ms:
                lease.alive_at, lease.ends_at = now, now + self.lease_ms
                lease.over_at = self.clocks.passed + self.lease_ms
        return sorted(ended)

    def read_presence(self) -> str | int | None:
        """As told to an asker who may know."""
        return "online" if self.live_servers() else self.seen or None

    @property
    def seen(self) -> int:
        """When the last lease that is over ended, in ms; 0: none ever did."""
        over = [lease.alive_at for device, lease in self.by_device.items() if not self.is_live(device)]
        return max([self.last_seen, *over])

    def _end(self, device: str, seen: int) -> None:
        del self.by_device[device]
        self.last_seen = max(self.last_seen, seen)
