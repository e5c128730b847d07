"""Codes: which is right, how often one may be wrong, how long it lives, and what Redis shows of it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from delivery import keys, rate_limits
from delivery.codes import LIFE_SECONDS, MAX_WRONG, Codes
from delivery.rate_limits import RateLimits
from protocol.errors import ApiError
from tests.support.links import link_to
from tests.support.messaging import make_settings

A, B = "919800000001", "919800000002"
HERE = "203.0.113.7"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals are kept back for a second: not here."""
    monkeypatch.setattr(rate_limits, "DELAY_SECONDS", 0.0)


class Post:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, datetime]] = []
        self.fail: ApiError | None = None

    async def send(self, mobile: str, code: str, expires_at: datetime) -> None:
        self.sent.append((mobile, code, expires_at))
        if self.fail is not None:
            raise self.fail

    @property
    def last(self) -> str:
        return self.sent[-1][1]


@pytest.fixture
def post() -> Post:
    return Post()


def _codes(redis: "Redis", post: Post, **values: object) -> Codes:
    settings = make_settings(**{"rate_limits": "off"} | values)
    link = link_to(redis)
    return Codes(link, RateLimits(link, on=settings.rate_limits == "on"), settings, post.send)


@pytest.fixture
def codes(redis: "Redis", post: Post) -> Codes:
    return _codes(redis, post)


async def _use(codes: Codes, code: str | None, mobile: str = A) -> str:
    """ "" if it was accepted, and is used up; else the refusal."""
    try:
        async with codes.proven(mobile, code, HERE):
            return ""
    except ApiError as error:
        return error.code


def _wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def test_a_code_is_right_once_and_for_its_number_only(codes: Codes, post: Post) -> None:
    assert await codes.send(A, HERE) == LIFE_SECONDS
    (mobile, code, expires_at) = post.sent[0]
    assert (mobile, len(code), code.isascii() and code.isdecimal()) == (A, 6, True)
    assert timedelta(minutes=9) < expires_at - datetime.now(UTC) <= timedelta(minutes=10)
    assert await _use(codes, code, B) == "code_wrong"
    assert await _use(codes, f" {code[:3]}-{code[3:]} ") == ""
    assert await _use(codes, code) == "code_wrong"


async def test_the_fifth_wrong_try_ends_it(codes: Codes, post: Post) -> None:
    await codes.send(A, HERE)
    for _ in range(MAX_WRONG - 1):
        assert await _use(codes, _wrong(post.last)) == "code_wrong"
    assert await _use(codes, post.last) == "", "four may be wrong"
    await codes.send(A, HERE)
    for _ in range(MAX_WRONG):
        assert await _use(codes, _wrong(post.last)) == "code_wrong"
    assert await _use(codes, post.last) == "code_wrong"


async def test_of_many_tries_at_once_five_count(codes: Codes, post: Post, redis: "Redis") -> None:
    await codes.send(A, HERE)
    wrong = await asyncio.gather(*(_use(codes, _wrong(post.last)) for _ in range(30)))
    assert set(wrong) == {"code_wrong"}
    assert await redis.exists(keys.code(A)) == 0
    assert await _use(codes, post.last) == "code_wrong"


async def test_wrong_tries_do_not_lengthen_its_life(codes: Codes, post: Post, redis: "Redis") -> None:
    await codes.send(A, HERE)
    await redis.pexpire(keys.code(A), 5_000)
    await _use(codes, _wrong(post.last))
    assert 0 < await redis.pttl(keys.code(A)) <= 5_000
    await redis.pexpire(keys.code(A), 1)
    await asyncio.sleep(0.02)
    assert await _use(codes, post.last) == "code_wrong"


async def test_what_fails_leaves_the_code_for_the_next_attempt(codes: Codes, post: Post) -> None:
    await codes.send(A, HERE)
    with pytest.raises(ApiError, match="busy"):
        async with codes.proven(A, post.last, HERE):
            raise ApiError("busy")
    assert await _use(codes, post.last) == ""


async def test_a_newer_code_replaces_the_older_and_its_tries(codes: Codes, post: Post) -> None:
    await codes.send(A, HERE)
    first = post.last
    await _use(codes, _wrong(first))
    await codes.send(A, HERE)
    assert first == post.last or await _use(codes, first) == "code_wrong"
    assert await _use(codes, post.last) == ""


async def test_a_code_that_could_not_be_sent_is_withdrawn(codes: Codes, post: Post, redis: "Redis") -> None:
    post.fail = ApiError("code_not_sent")
    with pytest.raises(ApiError, match="code_not_sent"):
        await codes.send(A, HERE)
    assert await redis.exists(keys.code(A)) == 0
    assert await _use(codes, post.last) == "code_wrong"


async def test_a_failed_delivery_does_not_withdraw_a_newer_code(codes: Codes, redis: "Redis") -> None:
    await codes._redis.write("SET", keys.code(A), f"{codes._digest(A, '111111')} 0")
    await codes._drop(A, codes._digest(A, "222222"))
    assert await _use(codes, "111111") == ""


async def test_redis_shows_nothing_that_could_be_tried_out(codes: Codes, post: Post, redis: "Redis") -> None:
    await codes.send(A, HERE)
    value = (await redis.get(keys.code(A))).decode()
    assert post.last not in value
    other = _codes(redis, post)  # with another JWT_SECRET
    assert await _use(other, post.last) == "code_wrong"
    assert 0 < await redis.ttl(keys.code(A)) <= LIFE_SECONDS


async def test_without_a_code_there_is_a_word_for_it(codes: Codes) -> None:
    for nothing in (None, ""):
        assert await _use(codes, nothing) == "code_missing"
    for junk in ("x", "1234567", "１２３４５６"):
        assert await _use(codes, junk) == "code_wrong"


async def test_switched_off_nothing_is_asked_and_nothing_sent(redis: "Redis") -> None:
    link = link_to(redis)
    off = Codes(link, RateLimits(link, on=True), make_settings(), None)
    assert not off.on
    assert await _use(off, None) == ""
    with pytest.raises(ApiError, match="codes_off"):
        await off.send(A, HERE)


async def test_codes_are_limited_by_number_and_by_address(redis: "Redis", post: Post) -> None:
    codes = _codes(redis, post, rate_limits="on", codes_per_hour=2, codes_per_address_per_hour=4)

    async def send(mobile: str, address: str = HERE) -> str:
        try:
            await codes.send(mobile, address)
        except ApiError as error:
            return error.code
        return ""

    assert [await send(A, f"10.0.0.{n}") for n in range(3)] == ["", "", "rate_limited"]
    assert [await send(f"91980000010{n}") for n in range(5)] == [""] * 4 + ["rate_limited"]
    tries = [await _use(codes, "000000", f"91980000020{n}") for n in range(5)]
    assert tries == ["code_wrong"] * 4 + ["rate_limited"], "one address cannot try the codes of many numbers"
