"""Leases, script by script: every verdict, and each twice in a row."""

import asyncio
import time

from redis.asyncio import Redis

from tests.delivery.person_scripts import ASHA, RAVI, Scripts, now_ms


async def lease(person: Scripts, device: str = "primary") -> list[str]:
    """serverId, connectionId, evidence in ms, end in ms."""
    value = await person.redis.hget(person.keys.leases, device)
    return value.decode().split(" ") if value else []


async def test_nobody_claims_who_is_not_loaded_or_under_another_account(redis: "Redis") -> None:
    person = Scripts(redis)
    for _ in range(2):
        assert await person.claim() == ["not_cached", "", "", "", ""]
    await person.load()
    before = await person.snapshot()
    assert await person.claim(account="account-2") == ["not_cached", "", "", "", ""]
    assert await person.snapshot() == before


async def test_a_claim_tells_who_was_there_before(person: Scripts) -> None:
    for _ in range(2):
        assert await person.claim() == ["claimed", "epoch-1", "", "", ""]
    assert await person.claim(server="s2", connection="c2") == ["claimed", "epoch-1", "s1", "c1", ""]
    assert await person.claim(server="s2", connection="c2") == ["claimed", "epoch-1", "", "", ""]
    assert (await lease(person))[:2] == ["s2", "c2"]


async def test_a_claim_made_again_yields_to_a_newer_connection_that_lives(person: Scripts) -> None:
    await person.claim(server="s2", connection="c2")
    before = await person.snapshot()
    for _ in range(2):
        assert await person.claim(mode="again") == ["replaced", "", "", "", ""]
    assert await person.snapshot() == before
    assert (await person.claim(server="s2", connection="c2", mode="again"))[0] == "claimed"


async def test_a_claim_made_again_takes_what_nobody_or_nobody_living_holds(person: Scripts) -> None:
    assert await person.claim(mode="again") == ["claimed", "epoch-1", "", "", ""]
    await person.claim(server="s2", connection="c2", lease_ms=-1)
    assert await person.claim(mode="again") == ["claimed", "epoch-1", "s2", "c2", ""]


async def test_a_connection_that_lives_is_replaced_only_by_one_whose_client_gave_a_sign(person: Scripts) -> None:
    await person.claim(server="s2", connection="c2")
    before = await person.snapshot()
    for _ in range(2):
        assert await person.claim(mode="first") == ["unproven", "", "", "", ""]
    assert await person.snapshot() == before
    assert await person.claim(mode="proven") == ["claimed", "epoch-1", "s2", "c2", ""]


async def test_what_nobody_holds_any_more_needs_no_proof(person: Scripts) -> None:
    for lease_ms in (-1, 60_000):
        assert (await person.claim(mode="first", lease_ms=lease_ms))[0] == "claimed"
    assert (await person.claim(mode="first"))[0] == "claimed", "it is its own lease"


async def test_a_claim_tells_how_many_devices_there_are(person: Scripts) -> None:
    for device, count in (("phone", "1"), ("phone", "1"), ("tablet", "2"), ("phone", "2")):
        await person.claim(device)
        assert person.devices == count


async def test_a_claim_counts_from_the_sign_of_life(person: Scripts) -> None:
    for mode in ("first", "again"):
        await person.claim(lease_ms=60_000, age_ms=10_000, mode=mode)
        _, _, evidence, till = await lease(person)
        assert 9_000 < await now_ms(person) - int(evidence) < 12_000
        assert int(till) == int(evidence) + 60_000


async def test_who_was_silent_for_longer_than_a_lease_claims_nothing_again(person: Scripts) -> None:
    await person.claim(server="s2", connection="c2", lease_ms=-1)
    before = await person.snapshot()
    for age_ms in (60_000, 70_000):
        assert await person.claim(mode="again", age_ms=age_ms) == ["silent", "", "", "", ""]
    assert await person.snapshot() == before
    assert (await person.claim(mode="again", age_ms=59_000))[0] == "claimed"
    assert (await person.claim(mode="proven", age_ms=70_000))[0] == "claimed"
    assert (await person.read_presence())[0] == "seen"


async def test_a_claim_that_lay_for_long_is_asked_again_where_somebody_came_meanwhile(person: Scripts) -> None:
    await person.claim(server="s2", connection="c2")
    before, now = await person.snapshot(), await now_ms(person)
    for _ in range(2):
        assert (await person.claim(written=now - 2000))[0] == "late"
    assert await person.snapshot() == before
    # Whoever asks again says a new time.
    assert (await person.claim(written=await now_ms(person)))[0] == "claimed"


async def test_the_last_of_two_who_come_at_once_has_the_device(person: Scripts) -> None:
    await person.claim(server="s2", connection="c2")
    assert (await person.claim(connection="c3", written=await now_ms(person) - 300))[0] == "claimed"


async def test_a_claim_that_lay_for_long_is_good_where_nobody_came_meanwhile(person: Scripts) -> None:
    assert (await person.claim(written=await now_ms(person) - 2000))[0] == "claimed"
    await person.claim(server="s2", connection="c2", age_ms=3000)
    assert (await person.claim(written=await now_ms(person) - 2000))[0] == "claimed"
    await person.claim(server="s2", connection="c2", lease_ms=-1)
    assert (await person.claim(written=await now_ms(person) - 2000))[0] == "claimed"


async def test_a_claim_tells_the_newest_entry_that_waits(person: Scripts) -> None:
    await person.store_chat("m1")
    _, second, _ = await person.store_chat("m2")
    assert (await person.claim())[4] == second


async def test_a_lease_lasts_as_long_as_asked_by_redis_own_clock(person: Scripts) -> None:
    start = await now_ms(person)
    await person.claim(lease_ms=5000)
    _, _, evidence, till = await lease(person)
    assert start <= int(evidence) <= await now_ms(person)
    assert int(till) == int(evidence) + 5000


async def test_only_so_many_devices(person: Scripts) -> None:
    for n in range(2):
        assert (await person.claim(f"d{n}", most=2))[0] == "claimed"
    before = await person.snapshot()
    for _ in range(2):
        assert await person.claim("d2", most=2) == ["too_many_devices", "", "", "", ""]
    assert await person.snapshot() == before
    assert (await person.claim("d1", most=2))[0] == "claimed"


async def test_a_new_device_gets_all_that_waits_and_the_placeholder_goes(person: Scripts) -> None:
    _, stream_id, _ = await person.store_chat("m1")
    assert await person.groups() == ["primary"]
    for _ in range(2):
        await person.claim("phone")
        assert await person.groups() == ["phone"]
    await person.claim("tablet")
    assert await person.groups() == ["phone", "tablet"]
    for device in ("phone", "tablet"):
        assert [entry[0] for entry in (await person.fetch(device=device))[3]] == [stream_id]


async def test_primary_as_a_real_device_stays(person: Scripts) -> None:
    await person.claim("primary")
    await person.store_chat("m1")
    await person.claim("tablet")
    assert await person.groups() == ["primary", "tablet"]


async def test_renewing(person: Scripts) -> None:
    for _ in range(2):
        assert await person.renew() == ["gone", ""]
    await person.claim(lease_ms=1000)
    for _ in range(2):
        assert await person.renew(lease_ms=60_000) == ["ok", ""]
    assert int((await lease(person))[3]) > await now_ms(person) + 50_000
    _, stream_id, _ = await person.store_chat("m1")
    assert await person.renew() == ["ok", stream_id]
    await person.claim(connection="c2")
    held = await lease(person)
    for _ in range(2):
        assert await person.renew("c1") == ["replaced", ""]
    assert await lease(person) == held


async def test_a_lease_counts_from_the_sign_of_life(person: Scripts) -> None:
    await person.claim()
    await person.renew(age_ms=10_000, lease_ms=60_000)
    _, _, evidence, till = await lease(person)
    assert 9_000 < await now_ms(person) - int(evidence) < 12_000
    assert int(till) == int(evidence) + 60_000


async def test_what_is_executed_late_counts_from_when_it_was_written(person: Scripts) -> None:
    await person.claim()
    now = await now_ms(person)
    for doing in (person.claim, person.renew):
        await doing(age_ms=10_000, written=now - 4_000)
        assert abs(int((await lease(person))[2]) - (now - 14_000)) < 1_000
        await doing(age_ms=10_000, written=now + 3_600_000)  # the clock was set back since
        assert abs(int((await lease(person))[2]) - (now - 10_000)) < 1_000


async def test_what_nobody_waits_for_any_more_is_not_done(person: Scripts) -> None:
    await person.claim("primary", "s1", "c1")
    before = await person.snapshot()
    written = await now_ms(person) - 6_000
    for _ in range(2):
        assert await person.claim("tablet", written=written) == ["late", "", "", "", ""]
        assert await person.renew(written=written) == ["late", ""]
    assert await person.snapshot() == before


async def test_releasing(person: Scripts) -> None:
    assert await person.release() == ["gone"]
    await person.claim()
    assert await person.release(age_ms=7000) == ["ok"]
    seen = int(await person.redis.get(person.keys.last_seen))
    assert 6_500 < await now_ms(person) - seen < 9_000
    before = await person.snapshot()
    assert await person.release() == ["gone"]
    assert await person.snapshot() == before


async def test_an_older_connections_end_never_takes_a_newer_one_offline(person: Scripts) -> None:
    await person.claim()
    await person.claim(server="s2", connection="c2")
    before = await person.snapshot()
    for connection, server in (("c1", "s1"), ("c1", "s1"), ("c2", "s1"), ("c1", "s2")):
        assert await person.release(connection, server) == ["replaced"]
    assert await person.snapshot() == before
    assert await person.read_presence() == ["online", ""]


async def test_last_seen_never_goes_back(person: Scripts) -> None:
    await person.redis.set(person.keys.last_seen, str(future := await now_ms(person) + 60_000))
    await person.claim()
    await person.release()
    assert int(await person.redis.get(person.keys.last_seen)) == future


async def test_releasing_who_was_forgotten_makes_no_record_of_him(person: Scripts) -> None:
    await person.claim()
    await person.redis.delete(person.keys.user)
    assert await person.release() == ["ok"]
    assert not await person.redis.exists(person.keys.user)


async def test_what_an_asker_sees(person: Scripts) -> None:
    assert await person.read_presence() == ["nothing", ""]
    await person.claim()
    for _ in range(2):
        assert await person.read_presence() == ["online", ""]
    await person.release()
    verdict, seen = await person.read_presence()
    assert verdict == "seen"
    assert abs(int(seen) - time.time() * 1000) < 60_000
    assert await person.read_presence() == [verdict, seen]


async def test_of_who_is_not_loaded_nothing_is_said(redis: "Redis") -> None:
    assert await Scripts(redis).read_presence() == ["not_cached", ""]


async def test_a_blocked_asker_sees_for_ever_what_was_so_at_the_block(person: Scripts) -> None:
    await person.load(version=1, blocked=(ASHA,))
    for _ in range(2):
        assert await person.read_presence(ASHA) == ["nothing", ""], "they were never there"
        await person.claim()
        assert await person.read_presence(ASHA) == ["nothing", ""]
        assert await person.read_presence(RAVI) == ["online", ""]
        await person.release()
    seen = await person.read_presence(RAVI)
    assert seen[0] == "seen"
    await person.load(version=2, blocked=(ASHA, RAVI))
    await person.claim()
    await person.release()
    assert await person.read_presence(RAVI) == seen
    assert await person.read_presence(ASHA) == ["nothing", ""]
    assert (await person.read_presence("9200000009")) > seen


async def test_who_is_blocked_by_somebody_online_sees_them_leave_at_that_moment(person: Scripts) -> None:
    await person.claim()
    before = await now_ms(person)
    await person.load(version=1, blocked=(ASHA,))
    verdict, seen = await person.read_presence(ASHA)
    assert (verdict, before <= int(seen) <= await now_ms(person)) == ("seen", True)
    await person.load(version=2, blocked=(ASHA,), privacy="cn11")
    await asyncio.sleep(0.005)
    await person.release()
    assert await person.read_presence(ASHA) != ["seen", seen], "hidden from everybody but contacts"
    await person.note_answered(ASHA)
    assert await person.read_presence(ASHA) == ["seen", seen]
    await person.load(version=3)
    await person.load(version=4, blocked=(ASHA,))
    assert (await person.read_presence(ASHA))[1] > seen, "another block"


async def test_a_redis_that_lost_a_block_knows_no_later_time_than_that_of_the_block(redis: "Redis") -> None:
    for last, shown in ((5_000, ["seen", "3000"]), (2_000, ["seen", "2000"]), ("", ["nothing", ""])):
        await redis.flushall()
        person = Scripts(redis)
        await person.load(version=1, blocked=(ASHA,), seen=last, since=3_000)
        assert await person.read_presence(ASHA) == shown
        await person.claim()
        await person.release()
        assert await person.read_presence(ASHA) == shown


async def test_blocks_of_a_server_that_noted_no_times_are_completed(person: Scripts) -> None:
    await person.redis.hset(person.keys.user, "blocks", "4")
    await person.redis.sadd(person.keys.blocks, ASHA)
    await person.redis.set(person.keys.last_seen, "9000")
    assert await person.read_presence(ASHA) == ["nothing", ""]
    assert await person.load(version=3, blocked=(RAVI,)) == ["kept", "epoch-1"]
    for verdict in ("newer", "kept"):
        assert await person.load(version=4, blocked=(ASHA,), since=3_000) == [verdict, "epoch-1"]
        assert await person.read_presence(ASHA) == ["seen", "3000"]


async def test_what_a_person_is_to_others(person: Scripts) -> None:
    assert await person.read_sides(ASHA) == ["known", "", ["-"]]
    await person.note_answered(RAVI)
    await person.redis.set(person.keys.last_seen, "9000")
    await person.load(version=1, blocked=(ASHA,), privacy="cn01")
    for _ in range(2):
        assert await person.read_sides(ASHA, RAVI, "9200000009") == ["known", "cn01", ["-9000", "c", "-"]]
    assert await person.read_sides() == ["known", "cn01", []]
    await person.load(version=2)
    assert await person.read_sides(ASHA) == ["known", "", ["-"]]
    assert await Scripts(person.redis, "9400000001").read_sides(ASHA) == ["not_cached", "", []]


async def test_a_lease_that_is_over_is_not_online_without_any_sweep(person: Scripts) -> None:
    await person.claim(lease_ms=1000)  # long enough for a busy machine to look in time
    evidence = (await lease(person))[2]
    assert (await person.read_presence())[0] == "online"
    await asyncio.sleep(1.1)
    assert await person.read_presence() == ["seen", evidence]
    assert (await person.store_chat("m1"))[2] == []


async def test_one_live_device_of_two_is_online(person: Scripts) -> None:
    await person.claim("phone", lease_ms=-1)
    await person.claim("tablet", "s2", "c2")
    assert await person.read_presence() == ["online", ""]


async def test_a_claim_and_a_renewal_say_what_the_person_hides(person: Scripts) -> None:
    for version, privacy in enumerate(("", "cn01", "en11", ""), 1):
        await person.load(version=version, privacy=privacy)
        for work in (person.claim, person.renew):
            await work()
            assert person.privacy == privacy


async def test_the_servers_of_a_persons_own_connections_are_told_of_another_privacy(person: Scripts) -> None:
    listener = person.redis.pubsub(ignore_subscribe_messages=True)
    await listener.psubscribe("notify:*")
    await listener.get_message(timeout=1)
    await person.claim("phone")
    await person.claim("tablet", "s2", "c2")
    await person.claim("watch", "s2", "c3")
    await person.claim("lost", "s3", "c4", lease_ms=-1)
    for version, privacy in ((1, "cn01"), (2, "cn01"), (2, ""), (3, "")):
        await person.load(version=version, privacy=privacy, blocked=(ASHA,))
    told = [await listener.get_message(timeout=0.2) for _ in range(10)]
    heard = [(m["channel"], m["data"]) for m in told if m and not m["data"].startswith(b"devices ")]
    words = [b"privacy 9100000001 cn01", b"privacy 9100000001 "]
    assert heard == [(channel, word) for word in words for channel in (b"notify:s1", b"notify:s2")]
    await listener.aclose()
