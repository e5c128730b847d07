"""Something breaks while two Python clients talk: nothing is lost, doubled or out of order."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from whatsapp_mini import Client, Message, SqliteStore
from whatsapp_mini.events import FrameSeen, StateChanged

from tests.clients.python.conftest import Newcomer
from tests.support.people import PASSWORD
from tests.support.servers import environment
from tests.support.stack import ServerGroup, Stack
from tests.support.waiting import until
from tools.devstack.valkey import Valkey

FAST = {
    "PING_SECONDS": "1",
    "LEASE_SECONDS": "3",
    "BELL_SECONDS": "0.5",
    "BELL_SILENCE_SECONDS": "2",
    "SWEEP_SECONDS": "1",
    "DRAIN_SECONDS": "2",
}
SECONDS = 60
BOT = Path(__file__).with_name("bot.py")


@pytest.fixture(scope="module")
def group(lasting_stack: Stack) -> ServerGroup:
    return lasting_stack.start(workers=2, **FAST)


async def pair(newcomer: Newcomer, url: str) -> tuple[Client, Client]:
    asha, ben = newcomer(url), newcomer(url)
    await asha.sign_up("Asha")
    await ben.sign_up("Ben")
    return asha, ben


def notes(client: Client) -> list[str]:
    """The texts that its handler gets from now on."""
    came: list[str] = []

    @client.on_message
    async def note(message: Message) -> None:
        came.append(message.text)

    return came


async def talk(one: Client, other: Client, count: int) -> None:
    """Each sends so many to the other, 20 at a time, and waits for all answers."""
    gate = asyncio.Semaphore(20)

    async def say(sender: Client, to: Client, number: int) -> None:
        async with gate:
            await sender.send(to.mobile_no, f"hello {number}")

    async with asyncio.timeout(SECONDS):
        for sender, to in ((one, other), (other, one)):
            assert sender.state.name == to.state.name == "online"
        await asyncio.gather(*(say(a, b, n) for n in range(count) for a, b in ((one, other), (other, one))))


EXPECTED = [f"hello {number}" for number in range(250)]


async def test_workers_are_killed_while_500_chats_go_in_both_directions(group: ServerGroup, newcomer: Newcomer) -> None:
    asha, ben = await pair(newcomer, group.url)
    to_asha, to_ben = notes(asha), notes(ben)
    async with asha, ben:
        talking = asyncio.create_task(talk(asha, ben, 250))
        for count in (60, 140):
            await until(lambda count=count: len(to_ben) >= count, SECONDS)  # type: ignore[misc]
            for pid in group.pids:
                group.kill_worker(pid)
            await until(lambda: len(group.pids) >= 2, SECONDS)
        await talking
        await until(lambda: len(to_asha) >= 250 and len(to_ben) >= 250, SECONDS)
    assert to_ben == EXPECTED
    assert to_asha == EXPECTED


@pytest.fixture
async def breakable(own_valkey: Valkey, database_url: str, tmp_path: Path) -> AsyncIterator[ServerGroup]:
    """A server whose Redis may be stopped."""
    with Stack(environment(own_valkey.url, database_url), tmp_path) as stack:
        yield await asyncio.to_thread(stack.start, 1, **FAST)


async def test_redis_is_away_for_a_moment(breakable: ServerGroup, own_valkey: Valkey, newcomer: Newcomer) -> None:
    asha, ben = await pair(newcomer, breakable.url)
    to_asha, to_ben = notes(asha), notes(ben)
    async with asha, ben:
        talking = asyncio.create_task(talk(asha, ben, 250))
        await until(lambda: len(to_ben) >= 50, SECONDS)
        own_valkey.kill()
        await asyncio.sleep(1)
        assert not talking.done()
        await asyncio.to_thread(own_valkey.start)
        await talking
        await until(lambda: len(to_asha) >= 250 and len(to_ben) >= 250, SECONDS)
    assert to_ben == EXPECTED
    assert to_asha == EXPECTED


async def test_a_process_is_killed_in_the_middle_and_goes_on_with_its_file(
    group: ServerGroup, newcomer: Newcomer, tmp_path: Path
) -> None:
    asha, ben = await pair(newcomer, group.url)
    to_ben = notes(ben)
    command = [sys.executable, str(BOT), group.url, asha.mobile_no, PASSWORD, ben.mobile_no, str(tmp_path / "asha")]
    async with ben:
        sends = [asyncio.create_task(ben.send(asha.mobile_no, f"hello {number}")) for number in range(250)]
        for count in (40, 90, 160, 250):
            bot = await asyncio.create_subprocess_exec(*command)
            await until(lambda count=count: len(to_ben) >= count, SECONDS)  # type: ignore[misc]
            if count == 250:
                await asyncio.gather(*sends)
                await asyncio.wait_for(bot.wait(), SECONDS)
            else:
                bot.send_signal(signal.SIGKILL)
                await bot.wait()
    assert bot.returncode == 0
    assert to_ben == EXPECTED
    store = SqliteStore(tmp_path / "asha", history=True)
    kept = await store.messages_with(ben.mobile_no, limit=1000)
    await store.close()
    assert [message.text for message in kept if not message.mine] == EXPECTED
    assert [message.text for message in kept if message.mine] == EXPECTED


async def test_a_server_that_drains_is_obeyed(lasting_stack: Stack, newcomer: Newcomer) -> None:
    group = await asyncio.to_thread(lasting_stack.start, 1, **FAST)
    asha = newcomer(group.url)
    await asha.sign_up("Asha")
    await asha.start()
    events = asha.events(frames=True)
    ending = asyncio.create_task(asyncio.to_thread(group.terminate))
    wait = 0.0
    async with asyncio.timeout(SECONDS):
        async for event in events:
            if isinstance(event, FrameSeen) and event.frame.get("code") == "draining":
                wait = event.frame["retryAfter"]
            if isinstance(event, StateChanged) and event.state.name != "online":
                break
    began = asyncio.get_running_loop().time()
    assert asha.state.name == "pausing"
    await asha._shell.until(lambda: asha.state.name == "connecting")
    waited = asyncio.get_running_loop().time() - began
    assert wait - 0.1 < waited
    await ending


async def test_tokens_are_refreshed_while_connected(lasting_stack: Stack, newcomer: Newcomer) -> None:
    group = await asyncio.to_thread(lasting_stack.start, 1, **FAST, TOKEN_HOURS=str(4 / 3600))
    asha, ben = await pair(newcomer, group.url)
    to_ben = notes(ben)
    async with asha, ben:
        tokens = set()
        for number in range(30):
            session = asha._shell.keeper.session
            assert session is not None
            tokens.add(session.token)
            await asha.send(ben.mobile_no, f"hello {number}")
            await asyncio.sleep(0.3)
        assert len(tokens) >= 3
        assert len(await asha.api.sessions()) == 1
        assert "refresh_reused" not in {event.kind for event in await asha.api.security_events()}
        await until(lambda: len(to_ben) >= 30, SECONDS)
    assert to_ben == EXPECTED[:30]
