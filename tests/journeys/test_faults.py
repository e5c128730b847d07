"""Something breaks in the middle of a talk, and nothing acknowledged is lost, doubled or out of order."""

import asyncio
import contextlib
import time
from collections import Counter

import pytest
import websockets

from tests.support.people import Person, Talk, request, sign_up
from tests.support.processes import patient
from tests.support.stack import ServerGroup, Stack

FAST = {
    "PING_SECONDS": "1",
    "LEASE_SECONDS": "3",
    "BELL_SECONDS": "0.5",
    "BELL_SILENCE_SECONDS": "2",
    "SWEEP_SECONDS": "1",
}


@pytest.fixture(scope="module")
def group(lasting_stack: Stack) -> ServerGroup:
    return lasting_stack.start(workers=2, **FAST)


async def test_a_killed_client_turns_from_online_to_last_seen(group: ServerGroup, lasting_stack: Stack) -> None:
    lasting_stack.worker(**FAST)
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    ravis = await ravi.open(group.ws_url)
    query = {"mobileNo": ravi.mobile}
    seen = await request(group.url, asha, "GET", "/profile/lastseen", params=query)
    assert seen.json()["data"]["lastSeen"] == "online"
    for server in group.servers:
        group.kill_worker(server.pid)
    killed = time.monotonic()
    last = "online"
    while last == "online" and time.monotonic() - killed < patient(10):
        await asyncio.sleep(0.2)
        with contextlib.suppress(Exception):
            last = (await request(group.url, asha, "GET", "/profile/lastseen", params=query)).json()["data"]["lastSeen"]
    assert last != "online"
    assert last.startswith("20")
    await ravis.end()


async def _reconnecting(person: Person, group: ServerGroup, talks: list[Talk], stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            talk = await person.open(group.ws_url)
        except (OSError, websockets.WebSocketException, AssertionError, TimeoutError):
            await asyncio.sleep(0.2)
            continue
        talks.append(talk)
        with contextlib.suppress(TimeoutError):
            while not stop.is_set() and talk.socket.close_code is None:
                await asyncio.sleep(0.05)
        if stop.is_set():
            await talk.end()


async def _send_all(sender: Person, to: Person, talks: list[Talk], count: int) -> None:
    """Each chat until it is acknowledged, on whatever connection there is, always with the same messageId."""
    for n in range(count):
        while True:
            with contextlib.suppress(IndexError, AssertionError, websockets.WebSocketException):
                said = dict(type="chat", to=to.mobile, messageId=f"m-{n}", message=str(n))
                await talks[-1].send(**said)
                mid = f"m-{n}"
                answer = await talks[-1].wait(lambda f, mid=mid: f.get("messageId") == mid, 2)  # type: ignore[misc]
                if answer["type"] == "sent":
                    break
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.01)


async def test_kill_9_of_a_worker_while_pairs_talk_loses_nothing(group: ServerGroup) -> None:
    await asyncio.to_thread(group.wait_ready)  # the test before has killed its workers
    pairs = [(await sign_up(group.url), await sign_up(group.url)) for _ in range(10)]
    stop, count = asyncio.Event(), 100
    talks: dict[str, list[Talk]] = {person.mobile: [] for pair in pairs for person in pair}
    keeping = [asyncio.create_task(_reconnecting(p, group, talks[p.mobile], stop)) for pair in pairs for p in pair]
    sending = [asyncio.create_task(_send_all(a, b, talks[a.mobile], count)) for a, b in pairs]
    await asyncio.sleep(1)
    victim = group.pids[0]
    group.kill_worker(victim)
    killed = time.monotonic()
    while len([pid for pid in group.pids if pid != victim]) < 2:
        assert time.monotonic() - killed < patient(5)
        await asyncio.sleep(0.05)
    await asyncio.gather(*sending)
    expected = [f"m-{n}" for n in range(count)]
    deadline = time.monotonic() + 20
    for _, b in pairs:
        while set(_shown(talks[b.mobile])) != set(expected) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        assert _shown(talks[b.mobile]) == expected
    stop.set()
    await asyncio.gather(*keeping)


def _shown(talks: list[Talk]) -> list[str]:
    """What a person sees: a redelivery has a streamId seen before and is not shown again."""
    shown: dict[str, str] = {}
    for talk in talks:
        for frame in talk.chats():
            shown.setdefault(frame["streamId"], frame["messageId"])
    assert max(Counter(shown.values()).values(), default=0) <= 1
    return list(shown.values())
