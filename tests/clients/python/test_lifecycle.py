"""When what may be called: before the start, after the stop, in a handler, by a task that is cancelled."""

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from whatsapp_mini import (
    ApiError,
    Client,
    ClientError,
    Event,
    LoggedOut,
    Message,
    NotStarted,
    SqliteStore,
    Stopped,
    StoreMismatch,
)
from whatsapp_mini.core import outbox
from whatsapp_mini.events import MessageCame, StateChanged

from tests.clients.python.conftest import Newcomer
from tests.support.people import PASSWORD, new_mobile
from tests.support.stack import ServerGroup
from tests.support.waiting import until

SECONDS = 15
TOOK = re.compile(r"took \d+\.\d+ seconds$")
SOURCE = Path(__file__).parents[3] / "clients" / "python" / "src"


async def account(newcomer: Newcomer, url: str, **how: Any) -> Client:
    client = newcomer(url, **how)
    await client.sign_up("Asha")
    return client


async def listed(things: Any) -> list[Any]:
    return [thing async for thing in things]


class TestBeforeAndAfter:
    CALLS: tuple[Callable[[Client], Awaitable[Any]], ...] = (
        lambda client: client.online(),
        lambda client: client.send(new_mobile(), "hello"),
        lambda client: client.post(new_mobile(), "hello"),
        lambda client: client.retry("m1"),
        lambda client: client.discard("m1"),
        lambda client: client.mark_read(new_mobile(), ["m1"]),
        lambda client: client.log_in(PASSWORD),
        lambda client: asyncio.to_thread(client.connect_now),
    )

    async def test_what_needs_a_client_that_runs_says_so(self, product: ServerGroup, newcomer: Newcomer) -> None:
        client = await account(newcomer, product.url)
        for _ in range(2):
            for call in self.CALLS:
                with pytest.raises(NotStarted, match=r"Call start\(\) first"):
                    await asyncio.wait_for(call(client), 5)
            client.typing(new_mobile())
            client.unwatch([new_mobile()])
            assert (client.state.name, client.failed) == ("off", [])
            async with client:
                with pytest.raises(ClientError, match="runs already"):
                    await client.start()

    async def test_who_looks_on_before_the_start_misses_nothing(self, product: ServerGroup, newcomer: Newcomer) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
        seen = asyncio.create_task(listed(ben.events()))
        await asyncio.sleep(0.1)
        assert not seen.done()
        async with asha, ben:
            await asha.send(ben.mobile_no, "hello")
            await until(lambda: not ben._shell.core.inbox.has_acks, SECONDS)
            await asyncio.sleep(0.2)
        events: list[Event] = await asyncio.wait_for(seen, 5)
        assert [event.state.name for event in events if isinstance(event, StateChanged)] == [
            "connecting",
            "online",
            "off",
        ]
        assert [event.message.text for event in events if isinstance(event, MessageCame)] == ["hello"]

    async def test_a_loop_begun_before_the_start_gets_messages(self, product: ServerGroup, newcomer: Newcomer) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
        taking = asyncio.create_task(listed(ben.messages()))
        await asyncio.sleep(0)
        async with asha, ben:
            await asha.send(ben.mobile_no, "hello")
            await until(lambda: ben._shell.taker is not None and ben._shell.core.inbox._acks == [], SECONDS)
            await asyncio.sleep(0.2)
        assert [message.text for message in await asyncio.wait_for(taking, 5)] == ["hello"]

    async def test_those_who_wait_for_a_start_that_fails_are_not_left_waiting(self, product: ServerGroup) -> None:
        client = Client(product.url, new_mobile())
        waiting = [asyncio.create_task(listed(client.events())), asyncio.create_task(listed(client.messages()))]
        await asyncio.sleep(0)
        with pytest.raises(LoggedOut):
            await client.start()
        events, ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
        assert [event.state.name for event in events] == ["connecting", "loggedOut", "off"]  # type: ignore[union-attr]
        assert isinstance(ended, LoggedOut)

    async def test_events_of_a_run_that_is_over_take_no_messages_of_the_next(
        self, product: ServerGroup, newcomer: Newcomer
    ) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
        old = ben.events()
        async with ben:
            pass
        async with asha, ben:
            await asha.send(ben.mobile_no, "hello")
            await asyncio.sleep(0.3)
            message = await asyncio.wait_for(anext(ben.messages()), SECONDS)
            assert message.text == "hello"
        assert [event.name for event in await asyncio.wait_for(listed(old), 5)] == ["state"] * 3

    async def test_routes_use_the_stored_session_before_the_start(
        self, product: ServerGroup, newcomer: Newcomer, tmp_path: Path
    ) -> None:
        """C1."""
        asha = await account(newcomer, product.url, store=SqliteStore(tmp_path / "asha"), device_id="bot")
        async with asha:
            (session,) = await asha.api.sessions()
        again = Client(product.url, asha.mobile_no, store=SqliteStore(tmp_path / "asha"))
        assert [each.id for each in await again.api.sessions()] == [session.id]
        await again.stop()
        other = Client(product.url, new_mobile(), PASSWORD, store=SqliteStore(tmp_path / "asha"))
        for ask in (other.api.me, lambda: other.api.log_in(PASSWORD)):
            with pytest.raises(StoreMismatch, match="needs a store of its own"):
                await ask()
        await other.stop()

    async def test_a_sign_up_leaves_no_connection_open(self, product: ServerGroup) -> None:
        client = Client(product.url, new_mobile(), PASSWORD)
        await client.sign_up("Asha")
        assert client._shell.http._client is None


class TestStop:
    async def test_a_stop_that_is_cancelled_leaves_nothing_behind(
        self, product: ServerGroup, newcomer: Newcomer, tmp_path: Path
    ) -> None:
        asha = await account(newcomer, product.url)
        ben = await account(newcomer, product.url, store=SqliteStore(tmp_path / "ben"))
        taken = asyncio.Event()

        @ben.on_message
        async def slow(_message: Message) -> None:
            taken.set()
            await asyncio.sleep(3600)

        async with asha:
            before = asyncio.all_tasks()
            await ben.start()
            await asha.send(ben.mobile_no, "hello")
            await taken.wait()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await ben.stop()
            assert ben.state.name == "off"
            assert asyncio.all_tasks() == before
            assert not [
                thread for thread in threading.enumerate() if "whatsapp-mini" in thread.name and thread.is_alive()
            ]

    async def test_a_loop_that_was_left_is_waited_for_and_the_message_comes_again(
        self, product: ServerGroup, newcomer: Newcomer
    ) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
        async with asha:
            before = asyncio.all_tasks()
            await ben.start()
            await asha.send(ben.mobile_no, "hello")
            async for _message in ben.messages():
                break
            await ben.stop()
            assert (ben.state.name, asyncio.all_tasks()) == ("off", before), "it did not take it for the loop itself"
            async with ben:
                assert (await asyncio.wait_for(anext(ben.messages()), SECONDS)).text == "hello"

    async def test_a_loop_of_the_run_before_does_not_acknowledge_for_the_next(
        self, product: ServerGroup, newcomer: Newcomer
    ) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
        goes_on, came = asyncio.Event(), list[str]()

        async def slow() -> None:
            async for message in ben.messages():
                came.append(message.text)
                await goes_on.wait()

        async with asha:
            await ben.start()
            old = asyncio.create_task(slow())
            await asha.send(ben.mobile_no, "hello")
            await until(lambda: len(came) == 1, SECONDS)
            await ben.stop(0)
            async with ben:
                messages = ben.messages()
                assert (await asyncio.wait_for(anext(messages), SECONDS)).text == "hello"
                goes_on.set()
                await asyncio.wait_for(old, 5)
                await asyncio.sleep(0.1)
                assert ben._shell.core.inbox.is_busy, "it is still in the hands of the second loop"
                await messages.aclose()

    async def test_send_may_be_cancelled_at_every_moment_and_goes_out_once(
        self, product: ServerGroup, newcomer: Newcomer, tmp_path: Path
    ) -> None:
        asha = await account(newcomer, product.url, store=SqliteStore(tmp_path / "asha"))
        ben = await account(newcomer, product.url)
        came: list[str] = []

        @ben.on_message
        async def note(message: Message) -> None:
            came.append(message.text)

        async with asha, ben:
            for steps in range(60):
                sending = asyncio.create_task(asha.send(ben.mobile_no, f"hello {steps}"))
                for _ in range(steps):
                    await asyncio.sleep(0.001 if steps % 2 else 0)
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            await asha.send(ben.mobile_no, "the end")
            await until(lambda: came[-1:] == ["the end"], SECONDS)
        assert came == [*(f"hello {steps}" for steps in range(1, 60)), "the end"], "the first one never began"

    async def test_a_server_that_says_nothing_holds_nobody_up(self) -> None:
        writers: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = Client(url, new_mobile(), PASSWORD)
        try:
            async with asyncio.timeout(5):
                await client.start(wait=False)
                asking = asyncio.create_task(client.api.me())
                await until(lambda: bool(writers), SECONDS)
                await client.stop(0)
                with pytest.raises(ApiError, match="was stopped before"):
                    await asking
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.start(), 0.3)
        finally:
            for writer in writers:
                writer.close()
            server.close()


class TestHandler:
    async def test_one_that_waits_for_something_cancelled_stops_the_client(
        self, product: ServerGroup, newcomer: Newcomer
    ) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)

        @ben.on_message
        async def wait(_message: Message) -> None:
            other = asyncio.ensure_future(asyncio.sleep(3600))
            other.cancel()
            await other

        async with asha, ben:
            await asha.send(ben.mobile_no, "hello")
            await until(lambda: ben.state.name == "stopped", SECONDS)
            with pytest.raises(Stopped, match=r"handler_failed: .* cancelled"):
                await ben.online()

    async def test_a_second_one_is_refused(self) -> None:
        client = Client("http://127.0.0.1:9", new_mobile())

        @client.on_message
        async def first(_message: Message) -> None: ...

        with pytest.raises(ClientError, match="has one already"):
            client.on_message(first)

    async def test_one_that_blocks_the_loop_lets_answers_be_read_before_they_are_missed(
        self, product: ServerGroup, newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbox, "ANSWER_SECONDS", 1.0)
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
        async with asha, ben:
            states = asha.events()
            sending = asyncio.create_task(asha.send(ben.mobile_no, "hello"))
            while not asha._shell.core.outbox.on_the_way:
                await asyncio.sleep(0)
            time.sleep(2)  # noqa: ASYNC251 - as programs do
            await asyncio.wait_for(sending, SECONDS)
            await asha.stop()
            assert [event.state.name for event in await listed(states) if isinstance(event, StateChanged)] == ["off"]


PROGRAM = """
import asyncio, sys, threading
from whatsapp_mini import Client, SqliteStore

async def main(url, number, path):
    await Client(url, number, "correct horse").sign_up("Asha")
    async with Client(url, number, "correct horse", store=SqliteStore(path, history=True)) as me:
        await me.post("919800000000", "hello")
        async with asyncio.timeout(5):
            async for event in me.events():
                if event.name == "failed":
                    break
        await me.discard(event.message.id)
    again = Client(url, number, store=SqliteStore(path))
    print((await again.api.me()).name)
    await again.stop()

thread = threading.Thread(target=lambda: asyncio.run(main(*sys.argv[1:]), debug=True))
thread.start()
thread.join()
"""


async def test_no_warning_in_a_thread_of_its_own(product: ServerGroup, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-W",
        "error",
        "-X",
        "dev",
        "-c",
        PROGRAM,
        product.url,
        new_mobile(),
        str(tmp_path / "me"),
    ]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    noise = [line for line in done.stderr.splitlines() if not TOOK.search(line)]  # a busy machine
    assert (done.returncode, done.stdout, noise) == (0, "Asha\n", [])
