"""What a refresh costs a server, and how soon sockets of ended sessions close while others refresh. Not a test:

python -m tests.journeys.measure_refreshes
"""

import asyncio
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from tests.support.people import NO_TLS, PASSWORD, Person, Talk, new_mobile
from tests.support.servers import cluster, directory, environment, postgres, valkey
from tests.support.stack import ServerGroup, Stack

REFRESHES: Final = 3_000
WARM_UP: Final = 300
PEOPLE: Final = 8
ENDED: Final = 100


async def _log_in(client: httpx.AsyncClient, mobile: str, device: str = "phone") -> dict[str, Any]:
    form = {"mobileNo": mobile, "password": PASSWORD, "deviceId": device}
    body: dict[str, Any] = (await client.post("/auth/login", json=form)).raise_for_status().json()
    return body


async def _new(client: httpx.AsyncClient) -> dict[str, Any]:
    mobile = new_mobile()
    form = {"name": "Asha", "mobileNo": mobile, "password": PASSWORD}
    (await client.post("/auth/signin", json=form)).raise_for_status()
    return await _log_in(client, mobile)


async def _refresh(client: httpx.AsyncClient, session: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/auth/refresh", json={"refreshToken": session["refreshToken"]})
    body: dict[str, Any] = answer.raise_for_status().json()
    return body


async def _refreshes(client: httpx.AsyncClient, count: int) -> list[float]:
    """Seconds of each; so many at once as there are people."""
    times: list[float] = []
    numbers = itertools.count()

    async def one_person() -> None:
        session = await _new(client)
        while next(numbers) < count:
            started = time.perf_counter()
            session = await _refresh(client, session)
            times.append(time.perf_counter() - started)

    await asyncio.gather(*(one_person() for _ in range(PEOPLE)))
    return times


def _cpu(pid: int) -> float:
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


async def _cost(server: ServerGroup, client: httpx.AsyncClient) -> None:
    (pid,) = server.pids
    await _refreshes(client, WARM_UP)
    before = _cpu(pid)
    times = await _refreshes(client, REFRESHES)
    used = _cpu(pid) - before
    # With the sign-ups and log-ins of the people, eight of each, which cost a cheap hash.
    print(
        f"{len(times)} refreshes, {PEOPLE} at once: {used / len(times) * 1000:.2f} ms of a server's time each; "
        f"answered after {statistics.median(times) * 1000:.1f} ms (median)"
    )


async def _ends(one: ServerGroup, two: ServerGroup, client: httpx.AsyncClient) -> None:
    """Sessions are ended on one server, their sockets are on the other; meanwhile others refresh on the first."""
    load = asyncio.create_task(_refreshes(client, 10**9))
    delays: list[float] = []
    for number in range(ENDED):
        session = await _new(client)
        person = Person(session["mobileNo"], session["token"], "Asha")
        talk: Talk = await person.open(two.ws_url, v1=bool(number % 2))
        headers = {"Authorization": f"Bearer {session['token']}"}
        started = time.perf_counter()
        closed = asyncio.create_task(talk.closed(10))
        (await client.post("/auth/logout-everywhere?all=true", headers=headers)).raise_for_status()
        assert await closed == 4509
        delays.append(time.perf_counter() - started)
        await talk.end()
    load.cancel()
    delays.sort()
    print(
        f"{ENDED} sessions ended on one server, sockets on another, {PEOPLE} refreshing in a loop: closed after "
        f"{statistics.median(delays) * 1000:.0f} ms (median), {delays[int(0.99 * ENDED) - 1] * 1000:.0f} ms (p99), "
        f"from the request on"
    )


async def _measure(one: ServerGroup, two: ServerGroup) -> None:
    async with httpx.AsyncClient(base_url=one.url, verify=NO_TLS, timeout=15) as client:
        await _cost(one, client)
        await _ends(one, two, client)


def main() -> None:
    """Half a minute."""
    with (
        directory() as path,
        cluster(path / "cluster") as data,
        valkey(path, appendonly=True) as redis,
        postgres(data, path) as database,
        tempfile.TemporaryDirectory() as logs,
        Stack(environment(redis.url, database.dsn()), Path(logs)) as stack,
    ):
        asyncio.run(_measure(stack.start(workers=1), stack.start(workers=1)))


if __name__ == "__main__":
    main()
