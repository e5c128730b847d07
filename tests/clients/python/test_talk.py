"""Two people talk with the Python client, over the real product."""

import asyncio

import pytest
from whatsapp_mini import Client, ClientError, LoggedOut, Message, SendFailed
from whatsapp_mini.events import MessageCame, Tick

from tests.clients.python.conftest import Newcomer
from tests.support.people import PASSWORD, new_mobile
from tests.support.stack import ServerGroup


async def pair(newcomer: Newcomer, url: str) -> tuple[Client, Client]:
    """Two people, each with an account."""
    asha, ben = newcomer(url), newcomer(url)
    await asha.sign_up("Asha")
    await ben.sign_up("Ben")
    return asha, ben


async def texts(client: Client, count: int) -> list[str]:
    """Of the next messages; the last one of them is not acknowledged."""
    messages = client.messages()
    came = [(await anext(messages)).text for _ in range(count)]
    await messages.aclose()
    return came


async def test_five_lines_send_a_message_and_another_five_echo_it(product: ServerGroup, newcomer: Newcomer) -> None:
    asha, ben = await pair(newcomer, product.url)

    @ben.on_message
    async def echo(message: Message) -> None:
        await ben.send(message.peer, message.text)

    async with asha, ben:
        sent = await asha.send(ben.mobile_no, "hello")
        assert (sent.state, sent.peer, sent.mine) == ("sent", ben.mobile_no, True)
        async for message in asha.messages():
            assert (message.peer, message.text, message.mine) == (ben.mobile_no, "hello", False)
            break
    assert asha.state.name == ben.state.name == "off"


async def test_a_tick_comes_when_the_other_one_has_it(product: ServerGroup, newcomer: Newcomer) -> None:
    asha, ben = await pair(newcomer, product.url)
    async with asha, ben:
        came, ticks = ben.events(), asha.events()
        sent = await asha.send(ben.mobile_no, "hello")
        message = await anext(event async for event in came if isinstance(event, MessageCame))
        await ben.mark_read(asha.mobile_no, [message.message.id])
        states = []
        async for event in ticks:
            if isinstance(event, Tick):
                assert event.ids == (sent.id,)
                states.append(event.state)
            if states[-1:] == ["read"]:
                break
        assert states == ["sent", "delivered", "read"]


async def test_what_nobody_listens_to_stays_with_the_server(product: ServerGroup, newcomer: Newcomer) -> None:
    asha, ben = await pair(newcomer, product.url)
    async with asha, ben:
        await asha.send(ben.mobile_no, "hello")
        await asyncio.sleep(0.2)  # it came, and would be acknowledged by now
    async with ben, asyncio.timeout(10):
        assert await texts(ben, 1) == ["hello"]


async def test_a_loop_that_was_left_has_not_acknowledged_its_last_message(
    product: ServerGroup, newcomer: Newcomer
) -> None:
    asha, ben = await pair(newcomer, product.url)
    async with asha, ben, asyncio.timeout(10):
        for text in ("hello 1", "hello 2", "hello 3"):
            await asha.send(ben.mobile_no, text)
        assert await texts(ben, 2) == ["hello 1", "hello 2"]
        assert await texts(ben, 2) == ["hello 2", "hello 3"]


async def test_a_cut_connection_is_opened_again_and_the_message_goes_out_once(
    product: ServerGroup, newcomer: Newcomer
) -> None:
    asha, ben = await pair(newcomer, product.url)
    came = []

    @ben.on_message
    async def note(message: Message) -> None:
        came.append(message.text)

    async with asha, ben:
        sends = [asyncio.create_task(asha.send(ben.mobile_no, f"hello {number}")) for number in range(50)]
        await sends[10]
        for client in (asha, ben):
            assert client._shell._socket is not None
            client._shell._socket.abort()
        await asyncio.gather(*sends)
        await asha.send(ben.mobile_no, "last")
        while "last" not in came:
            await asyncio.sleep(0.01)
    assert came == [*(f"hello {number}" for number in range(50)), "last"]


@pytest.mark.parametrize(
    ("text", "code"), [("", "message_empty"), ("x" * 16385, "message_too_large"), ("x", "no_such_person")]
)
async def test_a_refusal_is_an_error_with_its_code(
    product: ServerGroup, newcomer: Newcomer, text: str, code: str
) -> None:
    asha = newcomer(product.url)
    await asha.sign_up("Asha")
    async with asha:
        with pytest.raises(SendFailed) as failed:
            await asha.send(new_mobile(), text)
        assert failed.value.code == code
        with pytest.raises(SendFailed, match="self_message"):
            await asha.send(asha.mobile_no, "hello")


async def test_a_wrong_password_is_said_at_the_start(product: ServerGroup) -> None:
    client = Client(product.url, new_mobile(), PASSWORD)
    with pytest.raises(LoggedOut) as refused:
        await client.start()
    assert refused.value.code == "credentials_wrong"
    assert client.state.name == "off"
    with pytest.raises(ClientError):
        await client.send(new_mobile(), "hello")
