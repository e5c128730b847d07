"""Whether the time of an answer tells a blocked asker from one whose target is offline. Not a test: run it against what
runs, without rate limits.

    RATE_LIMITS=off BCRYPT_ROUNDS=4 python -m tools.devstack --port 5230 --data /tmp/x &
    python -m tests.journeys.measure_blocked_timing http://127.0.0.1:5230

Each sample asks for somebody who blocked the asker and is connected, or for somebody who is offline, in random order,
while others chat. A rank test says how often the one takes longer than the other: 0.5 is chance, and 0.45 to 0.55 is
what is allowed.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import websockets

from tests.support import people
from tests.support.people import Person, Talk, request, sign_up

PAIRS: Final = 8
"""People of each kind: more chats than `MAILBOX_PER_SENDER` would be refused."""
ALLOWED: Final = (0.45, 0.55)
Work = Callable[["Asker", Person, int], Awaitable[None]]


class Asker:
    """One connection each of HTTP, wm.v1 and the seed dialect, without more code than needs be around them."""

    def __init__(self, person: Person, port: int) -> None:
        self.person, self.port = person, port

    async def open(self) -> "Asker":
        self.http = await asyncio.open_connection("127.0.0.1", self.port)
        url = f"ws://127.0.0.1:{self.port}/?token={self.person.token}"
        self.v1 = await websockets.connect(url, subprotocols=[websockets.Subprotocol("wm.v1")])
        for _ in range(2):
            await self.v1.recv()
        return self

    async def get(self, path: str) -> bytes:
        reader, writer = self.http
        head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.person.token}\r\n\r\n"
        writer.write(head.encode())
        lines = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(lines.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await reader.readexactly(length)

    async def ask(self, *sent: object, until: str) -> None:
        """Send, and wait for the message that holds these words."""
        for frame in sent:
            await self.v1.send(json.dumps(frame))
        while until not in str(await self.v1.recv()):
            continue


async def last_seen(asker: Asker, person: Person, _: int) -> None:
    assert b'"success":true' in await asker.get(f"/profile/lastseen?mobileNo={person.mobile}")


async def chat(asker: Asker, person: Person, number: int) -> None:
    frame = {"type": "chat", "to": person.mobile, "messageId": f"m-{number}", "message": "hello"}
    await asker.ask(frame, until=f'"m-{number}"')


async def retry(asker: Asker, person: Person, _: int) -> None:
    frame = {"type": "chat", "to": person.mobile, "messageId": "again", "message": "hello"}
    await asker.ask(frame, until=f'"to":"{person.mobile}"')


async def watch(asker: Asker, person: Person, _: int) -> None:
    names = {"mobileNos": [person.mobile]}
    await asker.ask({"type": "unwatch"} | names, {"type": "watch"} | names, until=f'"mobileNo":"{person.mobile}"')


async def typing(asker: Asker, person: Person, _: int) -> None:
    await asker.ask({"type": "typing", "to": person.mobile, "active": True}, {"type": "ping"}, until='"pong"')


async def read(asker: Asker, person: Person, _: int) -> None:
    ack = {"type": "ack", "ackType": "read", "to": person.mobile, "messageIds": ["from-them"]}
    await asker.ask(ack, {"type": "ping"}, until='"pong"')


OPERATIONS: Final[dict[str, Work]] = {
    "GET /profile/lastseen": last_seen,
    "chat": chat,
    "chat, sent again": retry,
    "watch": watch,
    "typing, then ping": typing,
    "read ack, then ping": read,
}


def rank(ones: list[float], others: list[float]) -> float:
    """The area under the curve: how often one of the first is longer than one of the second."""
    ordered = sorted([(seconds, 0) for seconds in ones] + [(seconds, 1) for seconds in others])
    ranks = sum(place for place, (_, kind) in enumerate(ordered, 1) if kind == 0)
    return (ranks - len(ones) * (len(ones) + 1) / 2) / (len(ones) * len(others))


async def _targets(url: str, ws_url: str, asker: Person) -> tuple[list[Person], list[Person], list[Talk]]:
    """Those who block the asker and are connected, and those who are offline. All have written to each other."""
    blocking, offline, talks = list[Person](), list[Person](), list[Talk]()
    a = await asker.open(ws_url)
    for number in range(2 * PAIRS):
        person = await sign_up(url)
        talk = await person.open(ws_url)
        await talk.chat(asker, "from-them")
        await a.chat(person, "before")
        await talk.wait(lambda f: f["type"] == "chat")
        if number % 2:
            await talk.end()
            offline.append(person)
        else:
            form = {"blockedUserMobileNo": asker.mobile}
            (await request(url, person, "POST", "/block-action/block", json=form)).raise_for_status()
            blocking.append(person)
            talks.append(talk)
    await a.end()
    return blocking, offline, talks


async def _load(url: str, ws_url: str, rate: float) -> None:
    """Chats between others, until it is ended."""
    chatting = [await sign_up(url) for _ in range(10)]
    talks = [await person.open(ws_url) for person in chatting]
    number = 0
    while True:
        number += 1
        one, other = random.sample(range(10), 2)
        frame = {"type": "chat", "to": chatting[other].mobile, "messageId": f"load-{number}", "message": "x" * 100}
        await talks[one].send(**frame)
        for talk in talks:
            talk.frames.clear()
        await asyncio.sleep(1 / rate)


async def _measure(url: str, samples: int) -> bool:
    port = urlsplit(url).port
    assert port is not None
    person = await sign_up(url)
    blocking, offline, talks = await _targets(url, url.replace("http", "ws", 1), person)
    asker, is_well = await Asker(person, port).open(), True
    for name, work in OPERATIONS.items():
        if name == "chat, sent again":
            for each in (*blocking, *offline):
                await work(asker, each, 0)
        times: dict[bool, list[float]] = {True: [], False: []}
        order = [True, False] * samples
        random.shuffle(order)
        for number, is_blocked in enumerate(order):
            target = (blocking if is_blocked else offline)[number % PAIRS]
            began = time.perf_counter()
            await work(asker, target, number)
            times[is_blocked].append(time.perf_counter() - began)
        area = rank(times[True], times[False])
        medians = [sorted(some)[len(some) // 2] * 1000 for some in (times[True], times[False])]
        is_well = is_well and ALLOWED[0] <= area <= ALLOWED[1]
        print(f"{name:24} AUC {area:.3f}   median {medians[0]:.3f} ms blocked, {medians[1]:.3f} ms offline", flush=True)
    for talk in talks:
        await talk.end()
    return is_well


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("url")
    parser.add_argument("--samples", type=int, default=1000, help="of each kind")
    parser.add_argument("--rate", type=float, default=200, help="chats a second of others")
    parser.add_argument("--load", action="store_true", help="only the load")
    given = parser.parse_args()
    people._numbers = itertools.count(9_200_000_000 + random.randrange(10**8))  # noqa: S311 - others run beside it
    if given.load:
        await _load(given.url, given.url.replace("http", "ws", 1), given.rate)
        return 0
    words = ["-m", "tests.journeys.measure_blocked_timing", given.url, "--load", "--rate", str(given.rate)]
    load = await asyncio.create_subprocess_exec(sys.executable, *words)
    try:
        return 0 if await _measure(given.url, given.samples) else 1
    finally:
        load.terminate()
        await load.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
