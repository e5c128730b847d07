"""A server is killed in the middle of a deletion, at one moment after the other: the account lives, or all is gone."""

import asyncio
import contextlib

import httpx
from redis.asyncio import Redis

from tests.support.fragile import QUICK, Fragile
from tests.support.people import NO_TLS, PASSWORD, Person, Talk, request, sign_up
from tests.support.stack import Stack

DELAYS = [0.0, 0.02, 0.05, 0.1, 0.2, 0.4]


async def _try_to_delete(url: str, person: Person) -> None:
    with contextlib.suppress(httpx.HTTPError):
        await request(url, person, "DELETE", "/v1/me", json={"password": PASSWORD})


async def _sign_up_again(url: str, mobile: str) -> None:
    form = {"name": "The next", "mobileNo": mobile, "password": PASSWORD}
    async with httpx.AsyncClient(base_url=url, verify=NO_TLS, timeout=15) as client, asyncio.timeout(60):
        while (answer := await client.post("/auth/signin", json=form)).status_code != 200:
            assert answer.json()["code"] in {"number_resting", "unavailable"}, answer.json()
            await asyncio.sleep(0.2)


async def _is_told(hers: Talk) -> None:
    await hers.wait(lambda frame: frame["type"] == "ack" and frame["ackType"] == "expired", 60)


async def test_a_kill_at_any_moment_leaves_an_account_or_nothing(fragile: Fragile, beside: Stack) -> None:
    staying, going = fragile.server, beside.start(workers=1, **QUICK)
    beside.worker(SWEEP_SECONDS="1", **QUICK)
    outcomes = set()
    async with Redis.from_url(fragile.valkey.url) as inside:
        for delay in DELAYS:
            ravi, asha = await sign_up(staying.url, "Ravi"), await sign_up(staying.url, "Asha")
            hers, his = await asha.open(staying.ws_url), await ravi.open(staying.ws_url, ack=False)
            assert (await hers.chat(ravi, "m1"))["type"] == "sent"
            deletion = asyncio.create_task(_try_to_delete(going.url, ravi))
            await asyncio.sleep(delay)
            going.kill_worker(going.pids[0])
            await deletion
            await asyncio.to_thread(going.wait_ready)
            alive = (await request(staying.url, ravi, "GET", "/v1/me")).status_code == 200
            outcomes.add(alive)
            if alive:
                assert (await hers.chat(ravi, "m2"))["type"] == "sent"
                await _try_to_delete(staying.url, ravi)
            assert await his.closed(60) == 4509
            await _is_told(hers)
            await _sign_up_again(staying.url, ravi.mobile)
            left = {
                name for name in await inside.keys(f"*{{{ravi.mobile}}}*") if not name.startswith((b"left", b"rate"))
            }
            assert left == set()
            await hers.end()
    print(outcomes)
