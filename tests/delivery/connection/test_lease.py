"""A connection's lease on a real Redis: kept, lost, taken, claimed again."""

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis

from delivery.connection import lease as module
from delivery.connection.lease import Lease, close_for
from delivery.hub import Hub
from delivery.messenger import Messenger
from delivery.presence import Claimed, Holder, Presence, Unproven, Verdict
from delivery.servers import Servers
from protocol.errors import LOGGED_OUT, REPLACED, TOO_MANY_DEVICES, UNAVAILABLE, ApiError, Close
from settings import Settings
from tests.delivery.one_server import until
from tests.delivery.test_mailbox import RAVI, House, Row, house
from tests.support.links import link_to

__all__ = ["house"]
HOLDER = Holder(RAVI, "primary", "s1", "c1")
OTHER = Holder(RAVI, "primary", "s2", "c2")


@dataclass
class Tenant:
    """What a connection would do."""

    pings: int = 0
    spoke: bool = False
    leaving: bool = False

    ended: bool = False
    rings: list[str] = field(default_factory=list)
    closes: list[Close] = field(default_factory=list)
    reclaims: list[bool] = field(default_factory=list)

    def expect(self) -> None: ...

    def ring(self, stream_id: str) -> None:
        self.rings.append(stream_id)

    def ping(self) -> None:
        self.pings += 1

    def close(self, close: Close) -> None:
        self.closes.append(close)

    async def reclaimed(self, claimed: Claimed, *, storage_lost: bool) -> None:
        self.reclaims.append(storage_lost)


class _Bell:
    """Nobody listens here."""

    async def replaced(self, *_: str) -> None:
        return


def new_lease(house: House, redis: "Redis") -> tuple[Lease, Tenant]:
    bell: Any = _Bell()
    settings = Settings(
        redis_url="unix://unused",
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
    )
    registry = Servers(link_to(redis), "s1", settings)
    tenant = Tenant()
    lease = Lease(tenant, HOLDER, "account-1", Messenger(house.mailbox, house.presence, bell, registry, Hub(60)), 1.0)
    return lease, tenant


@pytest.fixture
async def kept(redis: "Redis", house: House) -> tuple[Lease, Tenant]:
    lease, tenant = new_lease(house, redis)
    assert (await lease.claim()).epoch == lease.epoch
    return lease, tenant


async def test_only_a_sign_of_life_makes_a_renewal_due(kept: tuple[Lease, Tenant]) -> None:
    lease, _ = kept
    assert not lease.due(time.monotonic() + 10)
    lease.sign_of_life()
    assert not lease.due(time.monotonic() + 0.5)
    assert lease.due(time.monotonic() + 1)
    await lease.renew()
    assert not lease.due(time.monotonic() + 10)


async def test_a_renewal_counts_from_the_sign_of_life_and_not_from_now(
    kept: tuple[Lease, Tenant], redis: "Redis"
) -> None:
    lease, _ = kept
    before = int((await redis.hget(f"leases:{{{RAVI}}}", "primary")).split()[2])
    lease._evidence -= 30
    await lease.renew()
    evidence = int((await redis.hget(f"leases:{{{RAVI}}}", "primary")).split()[2])
    assert 29_000 < before - evidence < 35_000


async def test_a_renewal_that_redis_executes_late_counts_from_when_it_was_written(
    kept: tuple[Lease, Tenant], redis: "Redis"
) -> None:
    lease, _ = kept
    lease.sign_of_life()
    seconds, micros = await redis.time()
    written = int(seconds) * 1000 + int(micros) // 1000
    await redis.client_pause(700)
    await lease.renew()
    evidence = int((await redis.hget(f"leases:{{{RAVI}}}", "primary")).split()[2])
    seconds, micros = await redis.time()
    assert int(seconds) * 1000 + int(micros) // 1000 - written >= 600, "it was not late"
    assert evidence - written < 300


async def test_a_redis_whose_clock_jumped_is_asked_once_more(
    kept: tuple[Lease, Tenant], house: House, redis: "Redis"
) -> None:
    lease, _ = kept
    ours = house.presence._clock
    for jump in (3600_000, -3600_000):
        ours._ahead -= jump
        lease.sign_of_life()
        await lease.renew()
        evidence = int((await redis.hget(f"leases:{{{RAVI}}}", "primary")).split()[2])
        seconds, _ = await redis.time()
        assert abs(evidence - int(seconds) * 1000) < 2_000


async def test_a_renewal_tells_what_waits(kept: tuple[Lease, Tenant], house: House) -> None:
    lease, tenant = kept
    await lease.renew()
    assert tenant.rings == []
    deposit = await house.mailbox.deposit(RAVI, "9200000001", [("m-1", "hello")])
    await lease.renew()
    assert tenant.rings == [deposit.newest]


async def test_a_newer_connection_ends_this_one(kept: tuple[Lease, Tenant], house: House) -> None:
    lease, tenant = kept
    await house.presence.claim(OTHER, "account-1", mode="proven")
    await lease.renew()
    assert tenant.closes == [REPLACED]
    assert (await house.presence.renew(OTHER, 0))[0] == "ok"


async def test_a_lease_that_ran_out_is_claimed_again(kept: tuple[Lease, Tenant], redis: "Redis") -> None:
    lease, tenant = kept
    await redis.delete(f"leases:{{{RAVI}}}")
    await lease.renew()
    assert (tenant.reclaims, tenant.closes) == ([False], [])


async def test_who_is_silent_for_longer_than_a_lease_is_not_online_again_before_he_gives_a_sign(
    kept: tuple[Lease, Tenant], house: House, redis: "Redis"
) -> None:
    lease, tenant = kept
    await redis.delete(f"leases:{{{RAVI}}}")
    lease._evidence -= 61
    await lease.renew()
    assert await house.presence.last_seen(RAVI, "9200000001") is None
    assert (tenant.reclaims, tenant.closes) == ([], [])
    lease.sign_of_life()
    assert lease.due(time.monotonic() + 1)
    await lease.renew()
    assert await house.presence.last_seen(RAVI, "9200000001") == "online"
    assert (tenant.reclaims, tenant.closes) == ([False], [])


async def test_a_lease_claimed_again_counts_from_the_sign_of_life(kept: tuple[Lease, Tenant], redis: "Redis") -> None:
    lease, _ = kept
    before = int((await redis.hget(f"leases:{{{RAVI}}}", "primary")).split()[2])
    await redis.delete(f"leases:{{{RAVI}}}")
    lease._evidence -= 30
    await lease.renew()
    evidence = int((await redis.hget(f"leases:{{{RAVI}}}", "primary")).split()[2])
    assert 29_000 < before - evidence < 35_000


async def test_a_newer_connection_that_came_between_finding_the_lease_gone_and_claiming_it_keeps_it(
    kept: tuple[Lease, Tenant], house: House, redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    lease, tenant = kept
    await redis.delete(f"leases:{{{RAVI}}}")
    renew = Presence.renew

    async def late(self: Presence, holder: Holder, age_ms: int) -> tuple[Verdict, str]:
        found = await renew(self, holder, age_ms)
        await self.claim(OTHER, "account-1")
        return found

    monkeypatch.setattr(Presence, "renew", late)
    await lease.renew()
    assert (tenant.closes, tenant.reclaims) == ([REPLACED], [])
    monkeypatch.undo()
    assert (await house.presence.renew(OTHER, 0))[0] == "ok"


async def test_a_storage_that_lost_everything_is_told(kept: tuple[Lease, Tenant], redis: "Redis") -> None:
    lease, tenant = kept
    before = lease.epoch
    await redis.flushall()
    await lease.renew()
    assert tenant.reclaims == [True]
    assert lease.epoch != before


async def test_who_has_ended_claims_nothing(kept: tuple[Lease, Tenant], house: House, redis: "Redis") -> None:
    lease, tenant = kept
    tenant.ended = True
    await redis.flushall()
    await lease.renew()
    assert await redis.keys() == []
    assert await house.presence.last_seen(RAVI, "9200000001") is None


async def test_a_number_that_changed_hands_ends_the_connection(
    kept: tuple[Lease, Tenant], house: House, redis: "Redis"
) -> None:
    lease, tenant = kept
    house.rows[RAVI] = Row("account-9")
    await redis.flushall()
    await lease.renew()
    assert tenant.closes == [LOGGED_OUT]


@pytest.mark.parametrize(
    ("code", "close"),
    [("too_many_devices", TOO_MANY_DEVICES), ("no_such_person", LOGGED_OUT), ("unavailable", UNAVAILABLE)],
)
def test_each_refusal_has_its_close(code: str, close: Close) -> None:
    assert close_for(ApiError(code)) == close


async def test_a_device_that_is_held_is_taken_when_the_client_gave_a_sign(house: House, redis: "Redis") -> None:
    await house.presence.claim(OTHER, "account-1")
    lease, tenant = new_lease(house, redis)
    claiming = asyncio.create_task(lease.claim())
    await until(lambda: tenant.pings == 1)
    await asyncio.sleep(0.05)
    assert not claiming.done()
    assert (await house.presence.renew(OTHER, 0))[0] == "ok"
    lease.sign_of_life()
    assert (await claiming).before == ("s2", "c2")


async def test_a_client_that_is_gone_takes_nothing(house: House, redis: "Redis") -> None:
    await house.presence.claim(OTHER, "account-1")
    lease, tenant = new_lease(house, redis)
    claiming = asyncio.create_task(lease.claim())
    await until(lambda: tenant.pings == 1)
    tenant.ended = True
    lease.give_up()
    with pytest.raises(Unproven):
        await claiming
    assert (await house.presence.renew(OTHER, 0))[0] == "ok"


async def test_a_client_that_says_goodbye_takes_nothing(house: House, redis: "Redis") -> None:
    await house.presence.claim(OTHER, "account-1")
    lease, tenant = new_lease(house, redis)
    claiming = asyncio.create_task(lease.claim())
    await until(lambda: tenant.pings == 1)
    tenant.leaving = True
    lease.sign_of_life()
    await asyncio.sleep(0.05)
    assert not claiming.done()
    tenant.ended = True
    lease.give_up()
    with pytest.raises(Unproven):
        await claiming


async def test_a_client_that_has_spoken_needs_no_ping(house: House, redis: "Redis") -> None:
    await house.presence.claim(OTHER, "account-1")
    lease, tenant = new_lease(house, redis)
    tenant.spoke = True
    assert (await lease.claim()).before == ("s2", "c2")
    assert tenant.pings == 0


async def test_a_client_that_went_while_its_first_claim_was_on_its_way_is_not_waited_for(
    house: House, redis: "Redis"
) -> None:
    await house.presence.claim(OTHER, "account-1")
    lease, tenant = new_lease(house, redis)
    tenant.ended = tenant.spoke = True
    with pytest.raises(Unproven):
        await asyncio.wait_for(lease.claim(), 2)


async def test_a_client_that_does_not_answer_takes_nothing(
    house: House, redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROOF_SECONDS", 0.05)
    await house.presence.claim(OTHER, "account-1")
    lease, tenant = new_lease(house, redis)
    with pytest.raises(Unproven):
        await lease.claim()
    assert tenant.pings == 1
    assert (await house.presence.renew(OTHER, 0))[0] == "ok"
