"""How soon the sockets of a session that ended are closed, while people chat. Not a test: run it against what runs.

    RATE_LIMITS=off BCRYPT_ROUNDS=4 python -m tools.devstack --port 5230 --workers 2 --data /tmp/x &
    python -m tests.journeys.measure_revocation http://127.0.0.1:5230

Each session is ended by another one of the same person (``DELETE /v1/sessions/{id}``), its socket being on any of the
server processes. The time runs from the request, and from its answer, to the close. Half of the sockets speak the seed
dialect.
"""

import argparse
import asyncio
import secrets
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
import websockets

from tests.support.people import NO_TLS, PASSWORD
from tools.chaos.history import History
from tools.chaos.workload import Workload

PEOPLE, RATE, SESSIONS, AT_ONCE = 50, 400.0, 200, 4
LOGGED_OUT: Final = 4509
WITHOUT: Final[dict[str, float]] = {"log_out": 0.0, "end_session": 0.0, "reuse": 0.0, "vanish": 0.0, "outbox": 0.0}


async def _log_in(client: httpx.AsyncClient, mobile: str, device: str) -> str:
    form = {"mobileNo": mobile, "password": PASSWORD, "deviceId": device}
    return str((await client.post("/auth/login", json=form)).raise_for_status().json()["token"])


async def _one(client: httpx.AsyncClient, ws_url: str, number: int) -> tuple[float, float]:
    """Seconds from the request, and from its answer, until the socket is closed."""
    mobile = str(919_700_000_000 + secrets.randbelow(10**9))
    form = {"name": "Asha", "mobileNo": mobile, "password": PASSWORD}
    (await client.post("/auth/signin", json=form)).raise_for_status()
    phone, tablet = await _log_in(client, mobile, "phone"), await _log_in(client, mobile, "tablet")
    headers = {"Authorization": f"Bearer {phone}"}
    sessions = (await client.get("/v1/sessions", headers=headers)).raise_for_status().json()["data"]
    (theirs,) = [session["id"] for session in sessions if session["deviceId"] == "tablet"]
    protocols = [websockets.Subprotocol("wm.v1")] if number % 2 else None
    socket = await websockets.connect(f"{ws_url}/?token={tablet}", subprotocols=protocols)
    await socket.recv()
    closed = asyncio.create_task(socket.wait_closed())
    closed.add_done_callback(lambda _: times.append(time.monotonic()))
    times: list[float] = []
    began = time.monotonic()
    (await client.delete(f"/v1/sessions/{theirs}", headers=headers)).raise_for_status()
    answered = time.monotonic()
    await asyncio.wait_for(closed, 40)
    assert socket.close_code == LOGGED_OUT, socket.close_code
    return times[0] - began, max(0.0, times[0] - answered)


def _row(what: str, seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    p99 = ordered[int(len(ordered) * 0.99) - 1]
    return f"| {what} | {statistics.median(ordered) * 1000:.0f} | {p99 * 1000:.0f} | {ordered[-1] * 1000:.0f} |"


async def main(url: str) -> None:
    """Some 30 s."""
    semaphore, found = asyncio.Semaphore(AT_ONCE), list[tuple[float, float]]()
    with tempfile.TemporaryDirectory() as folder, History(Path(folder) / "history.jsonl") as history:
        workload = Workload(history, [url], people=PEOPLE, rate=RATE, seed=1, rates=WITHOUT)
        await workload.start()
        talking = asyncio.create_task(workload.run(600))
        async with httpx.AsyncClient(base_url=url, verify=NO_TLS, timeout=15) as client:

            async def measure(number: int) -> None:
                async with semaphore:
                    found.append(await _one(client, url.replace("http", "ws", 1), number))

            await asyncio.gather(*[measure(number) for number in range(SESSIONS)])
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        sent = workload.counts()["acknowledged"]
        await workload.stop()
    print(f"{len(found)} sessions ended while {sent} chats were sent\n")
    print("| until the socket is closed, ms | p50 | p99 | max |\n|---|---|---|---|")
    print(_row("from the request", [each for each, _ in found]))
    print(_row("from its answer", [each for _, each in found]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    asyncio.run(main(parser.parse_args().url))
