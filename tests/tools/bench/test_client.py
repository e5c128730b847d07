"""The seed dialect's client on a real socket, against a scripted peer."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tools.bench.accounting import Ledger
from tools.bench.client import SeedClient, open_connection, text_frame
from tools.bench.environment import Account, ConnectError, Recorder

WELCOME = '{"type":"system","message":"dear user:Asha you are connected to the server!"}'


class Peer:
    """One connection of a server: keeps every message it receives."""

    def __init__(self, first: str) -> None:
        self._first = first
        self.received: list[str] = []
        self.offered: str | None = None
        self.pongs = 0
        self._socket: ServerConnection

    async def attend(self, socket: ServerConnection) -> None:
        self._socket = socket
        self.offered = socket.request.headers.get("Sec-WebSocket-Protocol") if socket.request else None
        await socket.send(self._first)
        async for message in socket:
            self.received.append(str(message))

    async def send(self, **frame: str) -> None:
        await self._socket.send(json.dumps(frame))

    async def ping(self) -> None:
        await asyncio.wait_for(await self._socket.ping(), 5)

    async def close(self, code: int) -> None:
        await self._socket.close(code, "enough")

    async def until(self, count: int) -> list[dict[str, str]]:
        async with asyncio.timeout(5):
            while len(self.received) < count:
                await asyncio.sleep(0.005)
        return [json.loads(each) for each in self.received]


@asynccontextmanager
async def scripted_peer(recorder: Recorder, first: str = WELCOME) -> AsyncIterator[tuple[Peer, SeedClient]]:
    peer = Peer(first)
    async with serve(peer.attend, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = await open_connection(f"ws://127.0.0.1:{port}", Account("1", "secret"), recorder, kind=SeedClient)
        assert isinstance(connection, SeedClient)
        try:
            yield peer, connection
        finally:
            connection.end()


async def test_one_frame_a_message_and_an_ack_for_each_chat() -> None:
    ledger = Ledger(1)
    async with scripted_peer(Recorder(ledger)) as (peer, connection):
        ids = [ledger.next_id(0) for _ in range(3)]
        for each in ids:
            connection.chat("2", each)
        assert [each["messageId"] for each in await peer.until(3)] == ids
        for number, each in enumerate(ids):
            await peer.send(type="system", message="message stored", messageId=each, status="sent")
            await peer.send(type="chat", messageId=each, message="hi", streamId=f"7-{number}")
        acks = (await peer.until(6))[3:]
        assert acks == [{"type": "ack", "ackType": "delivered", "streamId": f"7-{number}"} for number in range(3)]
        for each in ids:
            await peer.send(type="ack", ackType="delivered", messageId=each, streamId="9-0")
        await peer.ping()  # answered by the library: all before it has been read
        assert ledger.settled()
        assert len(peer.received) == 6, "receipts are not acked"
        assert peer.offered is None
    assert not ledger.defects().any()


async def test_a_refusal_and_a_resync_make_the_run_void() -> None:
    ledger = Ledger(1)
    async with scripted_peer(Recorder(ledger)) as (peer, connection):
        connection.chat("2", sent := ledger.next_id(0))
        await peer.until(1)
        await peer.send(type="error", code="no_such_person", messageId=sent)
        await peer.send(type="system", message="again, please", code="resync", epoch="2")
        await peer.ping()
    assert ledger.refusals == {"no_such_person": 1, "resync": 1}


async def test_a_close_is_recorded_with_its_code() -> None:
    ledger = Ledger(1)
    async with scripted_peer(Recorder(ledger)) as (peer, _):
        await peer.close(1008)
        async with asyncio.timeout(5):
            while not ledger.closed:
                await asyncio.sleep(0.005)
    assert ledger.closes == {"1008 enough": 1}


async def test_the_first_frame_has_to_be_the_system_frame() -> None:
    with pytest.raises(ConnectError, match="closed the connection"):
        async with scripted_peer(Recorder(Ledger(1)), '{"type":"chat","messageId":"m","streamId":"1-0"}'):
            pass


@pytest.mark.parametrize(
    ("size", "head"), [(125, b"\x81\xfd"), (126, b"\x81\xfe\x00\x7e"), (65_535, b"\x81\xfe\xff\xff")]
)
def test_frames_are_masked_and_carry_their_length(size: int, head: bytes) -> None:
    assert text_frame("x" * size) == head + b"\0\0\0\0" + b"x" * size
