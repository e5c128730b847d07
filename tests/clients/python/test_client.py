"""What the Python client does besides talking: devices, presence, stopping, logging out, handlers that fail."""

import asyncio
import gc
import logging
from pathlib import Path
from typing import Any

import pytest
from whatsapp_mini import (
    ApiError,
    Client,
    ClientError,
    Event,
    Events,
    LoggedOut,
    MemoryStore,
    Message,
    SendFailed,
    SqliteStore,
    Stopped,
    StoreMismatch,
)
from whatsapp_mini.events import FrameSeen, MessageCame, Own, OwnRead, Presence, StateChanged, Tick, Typing

from tests.clients.python.conftest import Newcomer
from tests.support.people import PASSWORD, new_mobile
from tests.support.stack import ServerGroup
from tests.support.waiting import until
from tools.devstack.probe import free_port

SECONDS = 15


async def account(newcomer: Newcomer, url: str, **how: Any) -> Client:
    client = newcomer(url, **how)
    await client.sign_up("Asha")
    return client


async def following(events: Events, kind: type[Event], count: int = 1) -> list[Any]:
    """The next events of a type."""
    async with asyncio.timeout(SECONDS):
        found: list[Any] = []
        async for event in events:
            found += [event] if isinstance(event, kind) else []
            if len(found) == count:
                return found
    raise AssertionError("it ended")


class TestDevices:
    async def test_another_device_sees_what_was_sent_and_read_and_all_ticks(
        self, product: ServerGroup, newcomer: Newcomer
    ) -> None:
        phone = await account(newcomer, product.url, device_id="phone")
        laptop = newcomer(product.url, phone.mobile_no, device_id="laptop", device_name="Asha's laptop")
        ben = await account(newcomer, product.url)
        async with phone, laptop, ben:
            on_laptop, to_ben = laptop.events(), ben.events()
            sent = await phone.send(ben.mobile_no, "hello")
            (own,) = await following(on_laptop, Own)
            assert (own.message.id, own.message.text, own.message.mine) == (sent.id, "hello", True)
            assert own.message.timestamp == sent.timestamp
            await following(to_ben, MessageCame)
            (tick,) = await following(on_laptop, Tick)
            assert (tick.ids, tick.state) == ((sent.id,), "delivered")
            on_phone = phone.events()
            answer = await ben.send(phone.mobile_no, "hello back")
            await following(on_laptop, MessageCame)
            await following(on_phone, MessageCame)
            await phone.mark_read(ben.mobile_no, [answer.id])
            (read,) = await following(on_laptop, OwnRead)
            assert (read.peer, read.ids) == (ben.mobile_no, (answer.id,))
            names = {device.device_id: device.device_name for device in await phone.api.devices()}
            assert names == {"phone": "", "laptop": "Asha's laptop"}

    async def test_one_device_twice_stops_the_older_and_they_do_not_fight(
        self, product: ServerGroup, newcomer: Newcomer
    ) -> None:
        older = await account(newcomer, product.url)
        async with older:
            events = older.events()
            newer = newcomer(product.url, older.mobile_no)
            async with newer:
                (change,) = await following(events, StateChanged)
                assert (change.state.name, change.state.code) == ("stopped", 4508)
                await asyncio.sleep(1.5)
                assert (older.state.name, newer.state.name) == ("stopped", "online")
                with pytest.raises(SendFailed) as failed:
                    await older.send(new_mobile(), "hello")
                assert failed.value.code == "stopped"
                with pytest.raises(Stopped):
                    await older.online()
                older.connect_now()
                await older.online()
                await until(lambda: newer.state.name == "stopped", SECONDS)

    async def test_too_many_devices_names_them_and_one_can_be_replaced(
        self, product: ServerGroup, newcomer: Newcomer
    ) -> None:
        first = await account(newcomer, product.url, device_id="device-0")
        clients = [first, *(newcomer(product.url, first.mobile_no, device_id=f"device-{n}") for n in range(1, 6))]
        for client in clients[:5]:
            async with client:
                pass
        with pytest.raises(Stopped) as stopped:
            await clients[5].start()
        assert stopped.value.code == "too_many_devices"
        cause = stopped.value.__cause__
        assert isinstance(cause, ApiError)
        assert {device["deviceId"] for device in cause.devices} == {f"device-{n}" for n in range(5)}
        await clients[5].start(wait=False)
        await until(lambda: clients[5].state.name == "stopped", SECONDS)
        await clients[5].log_in(PASSWORD, replace_device_id="device-2")
        await clients[5].online()


class TestPresence:
    async def test_watching_and_typing(self, product: ServerGroup, newcomer: Newcomer) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
        async with asha:
            events = asha.events()
            asha.watch([ben.mobile_no])
            (away,) = await following(events, Presence)
            assert (away.mobile_no, away.online) == (ben.mobile_no, False)
            async with ben:
                (here,) = await following(events, Presence)
                assert here.online
                ben.typing(asha.mobile_no)
                ben.typing(asha.mobile_no)
                (begun,) = await following(events, Typing)
                await ben.send(asha.mobile_no, "hello")
                (ended,) = await following(events, Typing)
                assert (begun.active, ended.active, ended.peer) == (True, False, ben.mobile_no)
            (gone,) = await following(events, Presence)
            assert not gone.online
            asha.unwatch([ben.mobile_no])
        for wrong in ("hello", "12", "0151 234"):
            with pytest.raises(ValueError, match="10 to 15 digits"):
                asha.watch([wrong])


class TestHandler:
    async def test_one_that_fails_stops_the_client_and_the_message_comes_again(
        self, product: ServerGroup, newcomer: Newcomer, caplog: pytest.LogCaptureFixture
    ) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
        came: list[str] = []

        @ben.on_message
        async def fragile(message: Message) -> None:
            came.append(message.text)
            if came.count(message.text) == 1:
                raise RuntimeError(message.text)

        async with asha:
            running = asyncio.create_task(ben.run())
            for text in ("hello 1", "hello 2"):
                await asha.send(ben.mobile_no, text)
            with pytest.raises(Stopped) as stopped:
                await asyncio.wait_for(running, SECONDS)
            assert (stopped.value.code, type(stopped.value.__cause__)) == ("handler_failed", RuntimeError)
            assert came == ["hello 1"]
            assert "hello" not in caplog.text + str(stopped.value)
            async with ben:
                await until(lambda: ben.state.name == "stopped", SECONDS)
                ben.connect_now()
                await until(lambda: len(came) == 4, SECONDS)
        assert came == ["hello 1", "hello 1", "hello 2", "hello 2"]

    @pytest.mark.parametrize("in_loop", [False, True])
    async def test_one_that_stops_the_client_does_not_wait_for_itself_and_its_message_is_acknowledged(
        self, product: ServerGroup, newcomer: Newcomer, in_loop: bool
    ) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)

        async def quit_at_once(_message: Message) -> None:
            await asyncio.wait_for(ben.stop(), 5)

        async def loop() -> None:
            await ben.start()
            async for message in ben.messages():
                await quit_at_once(message)

        if not in_loop:
            ben.on_message(quit_at_once)
        async with asha:
            ticks = asha.events()
            running = asyncio.create_task(loop() if in_loop else ben.run())
            sent = await asha.send(ben.mobile_no, "hello")
            await asyncio.wait_for(running, 5)
            ended = await following(ticks, Tick, 2)
        assert [tick.state for tick in ended if sent.id in tick.ids] == ["sent", "delivered"]
        assert ben.state.name == "off"

    async def test_only_one_takes_messages(self, product: ServerGroup, newcomer: Newcomer) -> None:
        asha = await account(newcomer, product.url)
        async with asha:
            waiting = asyncio.ensure_future(anext(asha.messages()))
            await asyncio.sleep(0)
            with pytest.raises(ClientError):
                await anext(asha.messages())
            with pytest.raises(ClientError):
                asha.on_message(_nothing)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            asha.on_message(_nothing)
            with pytest.raises(ClientError):
                await anext(asha.messages())

    async def test_events_and_loops_end_with_the_client(self, product: ServerGroup, newcomer: Newcomer) -> None:
        asha = await account(newcomer, product.url)
        events = asha.events()
        seen = asyncio.create_task(_all(events))
        async with asha:
            loop = asyncio.create_task(_all(asha.messages()))
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(loop, 5) == []
        states = [event.state.name for event in await asyncio.wait_for(seen, 5) if isinstance(event, StateChanged)]
        assert states == ["connecting", "online", "off"]

    async def test_a_listener_that_nobody_has_is_not_listened_to(
        self, product: ServerGroup, newcomer: Newcomer
    ) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
        async with asha, ben:
            events = ben.events()
            del events
            gc.collect()
            await asha.send(ben.mobile_no, "hello")
            await asyncio.sleep(0.2)
            message = await asyncio.wait_for(anext(ben.messages()), SECONDS)
            assert message.text == "hello"


class TestSession:
    async def test_logged_out_elsewhere_and_in_again(self, product: ServerGroup, newcomer: Newcomer) -> None:
        asha = await account(newcomer, product.url)
        other = newcomer(product.url, asha.mobile_no, device_id="other")
        async with asha, other:
            assert await other.api.log_out_everywhere() == 1
            await until(lambda: asha.state.name == "loggedOut", SECONDS)
            assert asha.state.code == 4509
            with pytest.raises(LoggedOut):
                await asha.online()
            with pytest.raises(LoggedOut):
                await asha.api.me()
            await asha.log_in(PASSWORD)
            await asha.online()
            assert (await asha.api.me()).mobile_no == asha.mobile_no

    async def test_who_logs_out_is_logged_out(self, product: ServerGroup, newcomer: Newcomer, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "asha")
        asha = await account(newcomer, product.url, store=store)
        async with asha:
            await asha.api.log_out()
            assert asha.state.name == "loggedOut"
            assert (await store.load()).session is None
            await asyncio.sleep(0.3)
            assert asha.state.name == "loggedOut"

    async def test_the_stored_session_needs_no_password_and_is_of_one_account(
        self, product: ServerGroup, newcomer: Newcomer, tmp_path: Path
    ) -> None:
        asha = await account(newcomer, product.url, store=SqliteStore(tmp_path / "asha"), device_id="bot")
        async with asha:
            session = asha._shell.keeper.session
        again = Client(product.url, asha.mobile_no, store=SqliteStore(tmp_path / "asha"))
        async with again:
            assert again._shell.keeper.session == session
            assert (await again.api.me()).device_id == "bot"
        for wrong in ({"mobile_no": new_mobile()}, {"url": "http://127.0.0.2:1"}, {"device_id": "other"}):
            given = {"url": product.url, "mobile_no": asha.mobile_no, "store": SqliteStore(tmp_path / "asha"), **wrong}
            with pytest.raises(StoreMismatch):
                await Client(**given).start()

    async def test_another_number_goes_on_with_the_new_one(self, product: ServerGroup, newcomer: Newcomer) -> None:
        asha, ben, new = await account(newcomer, product.url), await account(newcomer, product.url), new_mobile()
        async with asha, ben:
            events = asha.events()
            await asha.api.change_number(new, PASSWORD)
            await following(events, StateChanged, 3)  # pausing, connecting, online
            assert asha.mobile_no == new
            await ben.send(new, "hello")
            assert (await following(events, MessageCame))[0].message.text == "hello"


class TestStopping:
    async def test_what_has_no_answer_fails_with_stopped_and_goes_out_at_the_next_start(
        self, product: ServerGroup, newcomer: Newcomer, tmp_path: Path
    ) -> None:
        ben = await account(newcomer, product.url)
        asha = await account(newcomer, product.url, store=SqliteStore(tmp_path / "asha"))
        came = ben.events()
        await asha.start()
        asha._shell.core.stop_begins()  # as if it had come just before the message
        sending = asyncio.create_task(asha.send(ben.mobile_no, "hello"))
        await asyncio.sleep(0.1)
        await asha.stop()
        with pytest.raises(SendFailed, match="stopped"):
            await sending
        async with ben, asha:
            assert (await following(came, MessageCame))[0].message.text == "hello"

    async def test_a_stop_waits_for_what_is_on_the_way(self, product: ServerGroup, newcomer: Newcomer) -> None:
        asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
        done: list[str] = []

        @ben.on_message
        async def slow(message: Message) -> None:
            await asyncio.sleep(0.3)
            await ben.send(message.peer, "hello back")
            done.append(message.text)

        async with asha, ben:
            sending = asyncio.create_task(asha.send(ben.mobile_no, "hello"))
            await until(lambda: ben._shell.core.inbox.is_busy, SECONDS)
        assert (await sending).state == "sent"
        assert done == ["hello"]
        async with ben:
            await asyncio.sleep(0.3)
        assert done == ["hello"], "it had been acknowledged"

    async def test_it_may_be_stopped_twice_and_started_again(self, product: ServerGroup, newcomer: Newcomer) -> None:
        asha = await account(newcomer, product.url)
        for _ in range(3):
            async with asha:
                with pytest.raises(ClientError):
                    await asha.start()
                assert asha.state.name == "online"
            await asha.stop()

    async def test_nothing_is_left_behind_in_any_state(self, product: ServerGroup, newcomer: Newcomer) -> None:
        asha = await account(newcomer, product.url)
        before = asyncio.all_tasks()
        await asha.start(wait=False)
        await asha.stop()
        nowhere = Client("http://127.0.0.1:9", new_mobile(), PASSWORD)
        await nowhere.start(wait=False)
        await until(lambda: nowhere.state.name == "pausing", SECONDS)
        assert nowhere.state.until is not None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(nowhere.send(asha.mobile_no, "hello"), 0.1)
        await nowhere.stop()
        assert asyncio.all_tasks() == before

    async def test_a_store_that_fails_stops_the_client(self, product: ServerGroup, newcomer: Newcomer) -> None:
        class Full(MemoryStore):
            async def apply(self, changes: Any) -> Any:
                raise OSError("No space left")

        asha = await account(newcomer, product.url)
        ben = await account(newcomer, product.url, store=Full())
        ben.on_message(_nothing)
        async with asha, ben:
            frames = ben.events(frames=True)
            await asha.send(ben.mobile_no, "hello")
            await until(lambda: ben.state.name == "stopped", SECONDS)
            assert ben.state.code == "store_failed"
            with pytest.raises(Stopped) as stopped:
                await ben.online()
            assert isinstance(stopped.value.__cause__, OSError)
        acks = [event for event in await _all(frames) if isinstance(event, FrameSeen) and event.frame["type"] == "ack"]
        assert acks == []


async def test_nothing_secret_is_logged_even_when_all_is(
    product: ServerGroup, newcomer: Newcomer, caplog: pytest.LogCaptureFixture
) -> None:
    """C7."""
    caplog.set_level(logging.DEBUG)
    asha, ben = await account(newcomer, product.url), await account(newcomer, product.url)
    tickets: list[str] = []
    ticket = asha.api.ticket

    async def noted() -> str:
        tickets.append(await ticket())
        return tickets[-1]

    asha.api.ticket = noted  # type: ignore[method-assign]
    async with asha, ben:
        events = ben.events(frames=True)
        message = await asha.send(ben.mobile_no, "a secret text")
        seen = [event async for event in _until_message(events)]
        session = asha._shell.keeper.session
        assert session is not None
    assert tickets
    shown = f"{caplog.text} {session!r} {message!r} {seen!r} {asha!r}"
    for secret in ("a secret text", PASSWORD, session.token, session.refresh_token, *tickets):
        assert secret not in shown
    assert "whatsapp_mini" in caplog.text, "it says something"


async def _until_message(events: Events) -> Any:
    async for event in events:
        yield event
        if isinstance(event, MessageCame):
            return


async def _nothing(_message: Message) -> None:
    pass


async def _all(things: Any) -> list[Any]:
    return [thing async for thing in things]


async def test_a_program_that_cannot_connect_says_so_once(newcomer: Newcomer, caplog: pytest.LogCaptureFixture) -> None:
    """Otherwise somebody who starts a bot before the server sees nothing at all."""
    caplog.set_level(logging.INFO, "whatsapp_mini")
    client = newcomer(f"http://127.0.0.1:{free_port()}")
    await client.start(wait=False)
    for tries in (1, 2, 3):
        await until(lambda: sum("pausing" in record.message for record in caplog.records) == tries)  # noqa: B023
        client.connect_now()
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        "The connection is pausing. The server did not answer (ConnectError). The client tries again until it works."
    ]
    await client.stop()
