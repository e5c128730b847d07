"""Leases, script by script: every verdict, and each twice in a row."""

import asyncio
import time

from redis.asyncio import Redis

from tests.delivery.post import ASHA, Post


async def lease(post: Post, device: str = "primary") -> list[str]:
    """serverId, connectionId, evidence in ms, end in ms."""
    value = await post.redis.hget(post.keys.leases, device)
    return value.decode().split(" ") if value else []


async def now_ms(post: Post) -> int:
    seconds, micros = await post.redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def test_nobody_claims_who_is_not_loaded_or_under_another_account(redis: "Redis") -> None:
    post = Post(redis)
    for _ in range(2):
        assert await post.claim() == ["not_cached", "", "", "", ""]
    await post.load()
    before = await post.snapshot()
    assert await post.claim(account="account-2") == ["not_cached", "", "", "", ""]
    assert await post.snapshot() == before


async def test_a_claim_tells_who_was_there_before(post: Post) -> None:
    for _ in range(2):
        assert await post.claim() == ["claimed", "epoch-1", "", "", ""]
    assert await post.claim(server="s2", connection="c2") == ["claimed", "epoch-1", "s1", "c1", ""]
    assert await post.claim(server="s2", connection="c2") == ["claimed", "epoch-1", "", "", ""]
    assert (await lease(post))[:2] == ["s2", "c2"]


async def test_a_claim_made_again_yields_to_a_newer_connection_that_lives(post: Post) -> None:
    await post.claim(server="s2", connection="c2")
    before = await post.snapshot()
    for _ in range(2):
        assert await post.claim(mode="again") == ["replaced", "", "", "", ""]
    assert await post.snapshot() == before
    assert (await post.claim(server="s2", connection="c2", mode="again"))[0] == "claimed"


async def test_a_claim_made_again_takes_what_nobody_or_nobody_living_holds(post: Post) -> None:
    assert await post.claim(mode="again") == ["claimed", "epoch-1", "", "", ""]
    await post.claim(server="s2", connection="c2", lease_ms=-1)
    assert await post.claim(mode="again") == ["claimed", "epoch-1", "s2", "c2", ""]


async def test_a_connection_that_lives_is_replaced_only_by_one_whose_client_gave_a_sign(post: Post) -> None:
    await post.claim(server="s2", connection="c2")
    before = await post.snapshot()
    for _ in range(2):
        assert await post.claim(mode="first") == ["unproven", "", "", "", ""]
    assert await post.snapshot() == before
    assert await post.claim(mode="proven") == ["claimed", "epoch-1", "s2", "c2", ""]


async def test_what_nobody_holds_any_more_needs_no_proof(post: Post) -> None:
    for lease_ms in (-1, 60_000):
        assert (await post.claim(mode="first", lease_ms=lease_ms))[0] == "claimed"
    assert (await post.claim(mode="first"))[0] == "claimed", "it is its own lease"


async def test_a_claim_tells_how_many_devices_there_are(post: Post) -> None:
    for device, count in (("phone", "1"), ("phone", "1"), ("tablet", "2"), ("phone", "2")):
        await post.claim(device)
        assert post.devices == count


async def test_a_claim_counts_from_the_sign_of_life(post: Post) -> None:
    for mode in ("first", "again"):
        await post.claim(lease_ms=60_000, age_ms=10_000, mode=mode)
        _, _, evidence, till = await lease(post)
        assert 9_000 < await now_ms(post) - int(evidence) < 12_000
        assert int(till) == int(evidence) + 60_000


async def test_who_was_silent_for_longer_than_a_lease_claims_nothing_again(post: Post) -> None:
    await post.claim(server="s2", connection="c2", lease_ms=-1)
    before = await post.snapshot()
    for age_ms in (60_000, 70_000):
        assert await post.claim(mode="again", age_ms=age_ms) == ["silent", "", "", "", ""]
    assert await post.snapshot() == before
    assert (await post.claim(mode="again", age_ms=59_000))[0] == "claimed"
    assert (await post.claim(mode="proven", age_ms=70_000))[0] == "claimed"
    assert (await post.presence())[0] == "seen"


async def test_a_claim_that_lay_for_long_is_asked_again_where_somebody_came_meanwhile(post: Post) -> None:
    await post.claim(server="s2", connection="c2")
    before, now = await post.snapshot(), await now_ms(post)
    for _ in range(2):
        assert (await post.claim(written=now - 2000))[0] == "late"
    assert await post.snapshot() == before
    # Whoever asks again says a new time.
    assert (await post.claim(written=await now_ms(post)))[0] == "claimed"


async def test_the_last_of_two_who_come_at_once_has_the_device(post: Post) -> None:
    await post.claim(server="s2", connection="c2")
    assert (await post.claim(connection="c3", written=await now_ms(post) - 300))[0] == "claimed"


async def test_a_claim_that_lay_for_long_is_good_where_nobody_came_meanwhile(post: Post) -> None:
    assert (await post.claim(written=await now_ms(post) - 2000))[0] == "claimed"
    await post.claim(server="s2", connection="c2", age_ms=3000)
    assert (await post.claim(written=await now_ms(post) - 2000))[0] == "claimed"
    await post.claim(server="s2", connection="c2", lease_ms=-1)
    assert (await post.claim(written=await now_ms(post) - 2000))[0] == "claimed"


async def test_a_claim_tells_the_newest_entry_that_waits(post: Post) -> None:
    await post.send("m1")
    _, second, _ = await post.send("m2")
    assert (await post.claim())[4] == second


async def test_a_lease_lasts_as_long_as_asked_by_redis_own_clock(post: Post) -> None:
    start = await now_ms(post)
    await post.claim(lease_ms=5000)
    _, _, evidence, till = await lease(post)
    assert start <= int(evidence) <= await now_ms(post)
    assert int(till) == int(evidence) + 5000


async def test_only_so_many_devices(post: Post) -> None:
    for n in range(2):
        assert (await post.claim(f"d{n}", most=2))[0] == "claimed"
    before = await post.snapshot()
    for _ in range(2):
        assert await post.claim("d2", most=2) == ["too_many_devices", "", "", "", ""]
    assert await post.snapshot() == before
    assert (await post.claim("d1", most=2))[0] == "claimed"


async def test_a_new_device_gets_all_that_waits_and_the_placeholder_goes(post: Post) -> None:
    _, stream_id, _ = await post.send("m1")
    assert await post.groups() == ["primary"]
    for _ in range(2):
        await post.claim("phone")
        assert await post.groups() == ["phone"]
    await post.claim("tablet")
    assert await post.groups() == ["phone", "tablet"]
    for device in ("phone", "tablet"):
        assert [entry[0] for entry in (await post.collect(device=device))[3]] == [stream_id]


async def test_primary_as_a_real_device_stays(post: Post) -> None:
    await post.claim("primary")
    await post.send("m1")
    await post.claim("tablet")
    assert await post.groups() == ["primary", "tablet"]


async def test_renewing(post: Post) -> None:
    for _ in range(2):
        assert await post.renew() == ["gone", ""]
    await post.claim(lease_ms=1000)
    for _ in range(2):
        assert await post.renew(lease_ms=60_000) == ["ok", ""]
    assert int((await lease(post))[3]) > await now_ms(post) + 50_000
    _, stream_id, _ = await post.send("m1")
    assert await post.renew() == ["ok", stream_id]
    await post.claim(connection="c2")
    held = await lease(post)
    for _ in range(2):
        assert await post.renew("c1") == ["replaced", ""]
    assert await lease(post) == held


async def test_a_lease_counts_from_the_sign_of_life(post: Post) -> None:
    await post.claim()
    await post.renew(age_ms=10_000, lease_ms=60_000)
    _, _, evidence, till = await lease(post)
    assert 9_000 < await now_ms(post) - int(evidence) < 12_000
    assert int(till) == int(evidence) + 60_000


async def test_what_is_executed_late_counts_from_when_it_was_written(post: Post) -> None:
    await post.claim()
    now = await now_ms(post)
    for doing in (post.claim, post.renew):
        await doing(age_ms=10_000, written=now - 4_000)
        assert abs(int((await lease(post))[2]) - (now - 14_000)) < 1_000
        await doing(age_ms=10_000, written=now + 3_600_000)  # the clock was set back since
        assert abs(int((await lease(post))[2]) - (now - 10_000)) < 1_000


async def test_what_nobody_waits_for_any_more_is_not_done(post: Post) -> None:
    await post.claim("primary", "s1", "c1")
    before = await post.snapshot()
    written = await now_ms(post) - 6_000
    for _ in range(2):
        assert await post.claim("tablet", written=written) == ["late", "", "", "", ""]
        assert await post.renew(written=written) == ["late", ""]
    assert await post.snapshot() == before


async def test_releasing(post: Post) -> None:
    assert await post.release() == ["gone"]
    await post.claim()
    assert await post.release(age_ms=7000) == ["ok"]
    seen = int(await post.redis.get(post.keys.last_seen))
    assert 6_500 < await now_ms(post) - seen < 9_000
    before = await post.snapshot()
    assert await post.release() == ["gone"]
    assert await post.snapshot() == before


async def test_an_older_connections_end_never_takes_a_newer_one_offline(post: Post) -> None:
    await post.claim()
    await post.claim(server="s2", connection="c2")
    before = await post.snapshot()
    for connection, server in (("c1", "s1"), ("c1", "s1"), ("c2", "s1"), ("c1", "s2")):
        assert await post.release(connection, server) == ["replaced"]
    assert await post.snapshot() == before
    assert await post.presence() == ["online", ""]


async def test_last_seen_never_goes_back(post: Post) -> None:
    await post.redis.set(post.keys.last_seen, str(future := await now_ms(post) + 60_000))
    await post.claim()
    await post.release()
    assert int(await post.redis.get(post.keys.last_seen)) == future


async def test_releasing_who_was_forgotten_makes_no_record_of_him(post: Post) -> None:
    await post.claim()
    await post.redis.delete(post.keys.user)
    assert await post.release() == ["ok"]
    assert not await post.redis.exists(post.keys.user)


async def test_what_an_asker_sees(post: Post) -> None:
    assert await post.presence() == ["nothing", ""]
    await post.claim()
    for _ in range(2):
        assert await post.presence() == ["online", ""]
    await post.release()
    verdict, seen = await post.presence()
    assert verdict == "seen"
    assert abs(int(seen) - time.time() * 1000) < 60_000
    assert await post.presence() == [verdict, seen]


async def test_of_who_is_not_loaded_nothing_is_said(redis: "Redis") -> None:
    assert await Post(redis).presence() == ["not_cached", ""]


async def test_a_blocked_asker_sees_what_he_would_see_of_who_was_never_there(post: Post) -> None:
    never = await post.presence()
    await post.load(version=1, blocked=(ASHA,))
    await post.claim()
    assert await post.presence(ASHA) == never
    await post.release()
    assert await post.presence(ASHA) == never
    assert (await post.presence("9200000009"))[0] == "seen"


async def test_a_lease_that_is_over_is_not_online_without_any_sweep(post: Post) -> None:
    await post.claim(lease_ms=40)
    evidence = (await lease(post))[2]
    assert (await post.presence())[0] == "online"
    await asyncio.sleep(0.06)
    assert await post.presence() == ["seen", evidence]
    assert (await post.send("m1"))[2] == []


async def test_one_live_device_of_two_is_online(post: Post) -> None:
    await post.claim("phone", lease_ms=-1)
    await post.claim("tablet", "s2", "c2")
    assert await post.presence() == ["online", ""]
