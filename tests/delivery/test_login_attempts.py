"""Who may try to log in: strangers wait for each other, the owner does not wait for them."""

import asyncio

import pytest
from redis.asyncio import Redis

from delivery import keys, rate_limits
from delivery.login_attempts import MAX_PLACES, Attempt, LoginAttempts
from delivery.rate_limits import RateLimits
from delivery.redis.client import RedisClient
from delivery.scripts import FORGIVE_FAILURES, REMEMBER_LOGIN_PLACE
from protocol.errors import ApiError
from protocol.identifiers import PRIMARY
from tests.support.links import link_to
from tests.support.messaging import make_settings

OWNER, HOME, CAFE, THIEF = "919800000001", "203.0.113.7", "203.0.113.99", "198.51.100.1"
MANY = 1000
LIMITED: list[tuple[str, str]] = []


def _attempts(link: RedisClient, **options: object) -> LoginAttempts:
    few: dict[str, object] = {
        "rate_limits": "on",
        "logins_per_address_burst": MANY,
        "logins_per_address_per_minute": 60 * MANY,
    }
    settings = make_settings(**few | options)
    limits = RateLimits(link, on=settings.rate_limits == "on")
    return LoginAttempts(link, limits, settings, lambda mobile, device: LIMITED.append((mobile, device)))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals are kept back for a second: not here."""
    monkeypatch.setattr(rate_limits, "DELAY_SECONDS", 0.0)


@pytest.fixture(autouse=True)
async def _known_scripts(redis: "Redis") -> None:
    """Else Redis would be sent a script first, and run it behind what a test sends next."""
    for script in (FORGIVE_FAILURES, REMEMBER_LOGIN_PLACE):
        await redis.script_load(script.text)


@pytest.fixture
def logins(redis: "Redis") -> LoginAttempts:
    return _attempts(link_to(redis))


async def _log_in(logins: LoginAttempts, device: str = PRIMARY, address: str = HOME) -> Attempt:
    attempt = await logins.admit(OWNER, device, address)
    logins.succeeded(attempt)
    return attempt


async def _guess(logins: LoginAttempts, device: str = PRIMARY, address: str = THIEF, times: int = MANY) -> int:
    """So many wrong passwords, until one is not looked at any more; how many were."""
    for number in range(times):
        try:
            await logins.admit(OWNER, device, address)
        except ApiError:
            return number
    return times


async def test_guesses_from_everywhere_have_one_burst_and_then_wait(logins: LoginAttempts) -> None:
    assert sum([await _guess(logins, address=f"198.51.100.{n}", times=1) for n in range(1, 100)]) == 10
    LIMITED.clear()
    with pytest.raises(ApiError) as caught:
        await logins.admit(OWNER, "other", THIEF)
    assert 5 < (caught.value.retry_after or 0) <= 6
    assert LIMITED == [(OWNER, "other")]


async def test_an_address_has_a_burst_over_all_numbers(redis: "Redis") -> None:
    logins = _attempts(link_to(redis), logins_per_address_burst=4, logins_per_address_per_minute=1)
    for number in range(4):
        await logins.admit(f"91980000001{number}", PRIMARY, THIEF)
    LIMITED.clear()
    with pytest.raises(ApiError, match="rate_limited"):
        await logins.admit("919800000019", PRIMARY, THIEF)
    assert LIMITED == [], "it says nothing of the number"
    await logins.admit("919800000019", PRIMARY, HOME)


async def test_an_address_over_its_limit_takes_no_token_of_a_number(redis: "Redis") -> None:
    logins = _attempts(link_to(redis), logins_per_address_burst=4, logins_per_address_per_minute=1)
    assert await _guess(logins) == 4
    assert await _guess(logins) == 0
    assert await _guess(logins, address=CAFE) == 4, "six of the number's ten are left"


async def test_a_known_device_is_not_locked_out_by_strangers(logins: LoginAttempts) -> None:
    await _log_in(logins)
    assert await _guess(logins) == 9, "the owner was a stranger once, too"
    for _ in range(5):
        attempt = await _log_in(logins)
        assert attempt.known


async def test_the_default_device_is_known_at_its_address_only(logins: LoginAttempts) -> None:
    await _log_in(logins)
    assert not (await logins.admit(OWNER, PRIMARY, THIEF)).known


async def test_a_device_with_its_own_name_is_known_everywhere(logins: LoginAttempts) -> None:
    await _log_in(logins, device="d-7f3a")
    await _guess(logins)
    attempt = await _log_in(logins, device="d-7f3a", address=CAFE)
    assert attempt.known


async def test_guessing_with_a_known_device_name_does_not_lock_it_out_at_its_own_address(logins: LoginAttempts) -> None:
    await _log_in(logins, device="phone")
    assert await _guess(logins, device="phone") == 10
    assert (await _log_in(logins, device="phone", address=HOME)).known
    with pytest.raises(ApiError, match="rate_limited"):
        await logins.admit(OWNER, "phone", CAFE)


async def test_a_known_device_does_not_need_its_addresses_tokens(redis: "Redis") -> None:
    logins = _attempts(link_to(redis), logins_per_address_burst=1, logins_per_address_per_minute=1)
    await _log_in(logins)
    with pytest.raises(ApiError, match="rate_limited"):
        await logins.admit("919800000002", PRIMARY, HOME)
    await _log_in(logins)


async def test_a_known_device_that_guesses_waits_as_well(redis: "Redis") -> None:
    logins = _attempts(link_to(redis), logins_per_minute=1)
    while not (await _log_in(logins)).known:
        """A Redis that does not know the script yet remembers the place only behind the next question."""
    assert await _guess(logins, address=HOME) in (9, 10)
    assert (await logins.admit(OWNER, PRIMARY, CAFE)).bucket == OWNER, "and strangers do not wait for it"


async def test_success_forgets_the_failures_of_a_known_device_and_not_those_of_strangers(redis: "Redis") -> None:
    logins = _attempts(link_to(redis), logins_per_minute=60_000)
    await _log_in(logins)
    for _ in range(4):
        await logins.admit(OWNER, PRIMARY, HOME)
        await logins.admit(OWNER, PRIMARY, THIEF)
    await _log_in(logins)
    await asyncio.sleep(0.05)  # what was in use came back
    assert (await logins.admit(OWNER, PRIMARY, HOME)).used == 1
    await _log_in(logins, address=CAFE)
    await asyncio.sleep(0.05)
    assert (await logins.admit(OWNER, PRIMARY, THIEF)).used == 5


async def test_undecided_attempts_are_no_failures(redis: "Redis") -> None:
    logins = _attempts(link_to(redis), logins_per_minute=60_000)
    for _ in range(30):
        logins.undecided(await logins.admit(OWNER, PRIMARY, HOME))
        await asyncio.sleep(0.002)
    assert (await logins.admit(OWNER, PRIMARY, HOME)).used < 5


async def test_used_counts_the_attempts(logins: LoginAttempts) -> None:
    used = [(await logins.admit(OWNER, PRIMARY, THIEF)).used for _ in range(5)]
    assert used == sorted(set(used))
    assert (await logins.admit("919800000002", PRIMARY, HOME)).used == 1


async def test_places_are_few_and_expire_and_hold_no_address(logins: LoginAttempts, redis: "Redis") -> None:
    for number in range(MAX_PLACES + 8):
        attempt = Attempt(OWNER, OWNER, (f"{number:016x}",), known=False, used=1)
        logins.succeeded(attempt)
    await _log_in(logins, address=HOME)
    name = keys.Person(OWNER).login_places
    assert await redis.zcard(name) == MAX_PLACES
    assert 0 < await redis.ttl(name) <= 30 * 86_400
    everything = b"".join([name.encode(), *await redis.zrange(name, 0, -1)])
    assert HOME.encode() not in everything
    assert (await _log_in(logins, address=HOME)).known, "the latest stay"


async def test_it_works_at_maxmemory(logins: LoginAttempts, redis: "Redis") -> None:
    await redis.config_set("maxmemory", 1)
    try:
        await _log_in(logins)
        assert (await _log_in(logins)).known
    finally:
        await redis.config_set("maxmemory", 0)


async def test_without_redis_no_login_is_allowed_and_without_limits_every_one(away: RedisClient) -> None:
    with pytest.raises(ApiError, match="unavailable"):
        await _attempts(away).admit(OWNER, PRIMARY, HOME)
    attempt = await _attempts(away, rate_limits="off").admit(OWNER, PRIMARY, HOME)
    assert (attempt.known, attempt.used) == (True, 0)
