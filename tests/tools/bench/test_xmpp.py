"""The XMPP client, fed with recorded output of ejabberd and Prosody, in pieces of any size."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tools.bench import xmpp
from tools.bench.accounting import Ledger
from tools.bench.environment import Account, ConnectError, Recorder

HEADER = (
    "<?xml version='1.0'?><stream:stream id='7' version='1.0' xml:lang='en' from='localhost'"
    " xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>"
)
GREETING = [
    HEADER + "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>"
    "</mechanisms></stream:features>",
    "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    HEADER
    + "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>",
    "<iq xml:lang='en' from='localhost' type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    "<jid>u0@localhost/b</jid></bind></iq>",
    "<enabled xmlns='urn:xmpp:sm:3'/>",
    "<presence from='u0@localhost/b' to='u0@localhost/b'/><iq type='result' id='ready'/><r xmlns='urn:xmpp:sm:3'/>",
]
EXPECTED = ["<stream:stream", "<auth", "<stream:stream", "<bind", "<enable", "id='ready'"]
CHAT = (
    "<message to='u0@localhost/b' id='%s' type='chat' from='u1@localhost/b'><body>hello</body>"
    "<request xmlns='urn:xmpp:receipts'/><delay stamp='2026-01-01T00:00:00Z' xmlns='urn:xmpp:delay'/></message>"
)
RECEIPT = "<message type='chat' from='u1@localhost/b'><received xmlns='urn:xmpp:receipts' id='%s'/></message>"


class Peer:
    """A peer on a real socket that follows a script, ``step`` bytes at a time."""

    def __init__(self, step: int, greeting: list[str]) -> None:
        self.step, self._greeting = step, greeting
        self.received = ""
        self.port = 0
        self.done = asyncio.Event()
        self._writer: asyncio.StreamWriter

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with contextlib.suppress(ConnectionResetError):  # clients close without a handshake
            await self._play(reader)
        writer.close()
        self.done.set()

    async def _play(self, reader: asyncio.StreamReader) -> None:
        for wanted, answer in zip(EXPECTED, self._greeting, strict=True):
            before = len(self.received)
            while wanted not in self.received[before:]:
                if not (data := await reader.read(4096)):
                    return
                self.received += data.decode()
            await self.send(answer)
        while data := await reader.read(4096):
            self.received += data.decode()

    async def send(self, text: str) -> None:
        data = text.encode()
        for begin in range(0, len(data), self.step):
            self._writer.write(data[begin : begin + self.step])
            await self._writer.drain()
            await asyncio.sleep(0)

    def disconnect(self) -> None:
        self._writer.close()

    async def until_received(self, text: str) -> None:
        async with asyncio.timeout(5):
            while text not in self.received:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def scripted_peer(step: int, greeting: list[str] = GREETING) -> AsyncIterator[Peer]:
    peer = Peer(step, greeting)
    server = await asyncio.start_server(peer.attend, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
        await asyncio.wait_for(peer.done.wait(), 5)
    finally:
        server.close()


@pytest.mark.parametrize("step", [1, 3, 100_000])
async def test_chats_ticks_and_receipts_are_recorded(step: int) -> None:
    ledger = Ledger(1)
    recorder = Recorder(ledger)
    async with scripted_peer(step) as peer:
        client = await xmpp.open_connection(peer.port, Account("u0@localhost", "secret"), recorder)
        await peer.until_received("h='2'")  # the presence and the answer, both counted
        first, second = ledger.next_id(0), ledger.next_id(0)
        client.chat("u1@localhost", first)
        client.chat("u1@localhost", second)
        await peer.until_received("<r xmlns")
        await peer.send("<a xmlns='urn:xmpp:sm:3' h='3'/>")  # presence, ping, the first chat
        await peer.send(CHAT % first + RECEIPT % first + "<r xmlns='urn:xmpp:sm:3'/>")
        await peer.until_received(f"<received xmlns='urn:xmpp:receipts' id='{first}'/>")
        await peer.until_received("h='4'")
        (pair,) = ledger.pairs
        assert (pair.stored.next, pair.arrived.next, pair.receipted.next) == (1, 1, 1)
        await peer.send("<a xmlns='urn:xmpp:sm:3' h='5'/>" + CHAT % second + RECEIPT % second)
        async with asyncio.timeout(5):
            while not ledger.settled():
                await asyncio.sleep(0.005)
        client.end()
    assert not ledger.defects().any()


async def test_an_error_about_a_chat_is_a_refusal_of_that_chat() -> None:
    ledger = Ledger(1)
    async with scripted_peer(50) as peer:
        client = await xmpp.open_connection(peer.port, Account("u0@localhost", "secret"), Recorder(ledger))
        client.chat("nobody@localhost", sent := ledger.next_id(0))
        await peer.until_received(sent)
        await peer.send(
            f"<message id='{sent}' type='error' from='nobody@localhost'><error type='cancel'>"
            "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
            "<r xmlns='urn:xmpp:sm:3'/>"
        )
        await peer.until_received("h='3'")
        client.end()
    assert ledger.refusals == {"service-unavailable": 1}
    assert ledger.defects().lost == 0


async def test_a_server_that_closes_is_noticed() -> None:
    ledger = Ledger(0)
    async with scripted_peer(50) as peer:
        await xmpp.open_connection(peer.port, Account("u0@localhost", "secret"), Recorder(ledger))
        peer.disconnect()
        async with asyncio.timeout(5):
            while not ledger.closed:
                await asyncio.sleep(0.005)


async def test_a_wrong_password_is_reported() -> None:
    no = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"
    async with scripted_peer(7, [GREETING[0], no, *GREETING[2:]]) as peer:
        with pytest.raises(ConnectError, match="not-authorized"):
            await xmpp.open_connection(peer.port, Account("u0@localhost", "wrong"), Recorder(Ledger(0)))
