"""What one hostile client may cost the others: memory stays flat, no descriptor stays, and everybody else is served."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator

import psutil
import pytest

from tests.server.support import PING, TEXT, RawClient, frame, until
from tests.support.people import Person, sign_up
from tests.support.stack import ServerGroup, Stack

FLAT_BYTES = 5 * 2**20
SECONDS = 1.0
AT_A_TIME = 2**18
DRIPPING = 300


@pytest.fixture(scope="module")
def group(lasting_stack: Stack) -> ServerGroup:
    """One worker process whose rates are no protection, so that the floods get as far as they can."""
    return lasting_stack.start(
        workers=1,
        BAD_FRAMES_PER_MINUTE="100000000",
        MAILBOX_BYTES_PER_SENDER=str(2**24),
        DATA_FRAMES_BURST="100000000",
        CONTROL_FRAMES_BURST="100000000",
        WRITE_SECONDS="1",
        SANIC_REQUEST_TIMEOUT="1",
    )


class Watched:
    """The worker process, before the flood and at its worst."""

    def __init__(self, group: ServerGroup) -> None:
        (pid,) = group.pids
        self.process = psutil.Process(pid)
        self.start = self.process.memory_info().rss
        self.port = group.port
        self.most = 0

    def look(self) -> None:
        self.most = max(self.most, self.process.memory_info().rss - self.start)

    def connections(self) -> int:
        """Of clients, open at the moment."""
        mine = [each for each in self.process.net_connections("tcp") if each.laddr.port == self.port]
        return len([each for each in mine if each.status != psutil.CONN_LISTEN])

    async def is_as_before(self) -> None:
        """Memory was flat, and no descriptor of a client's is left."""
        self.look()
        print(f"{self.most / 2**20:+.1f} MiB")
        assert self.most <= FLAT_BYTES
        await until(lambda: self.connections() == 0, 10)


@pytest.fixture
async def asha(group: ServerGroup) -> Person:
    return await sign_up(group.url)


@pytest.fixture
async def watched(group: ServerGroup, asha: Person) -> AsyncIterator[Watched]:
    """After one client has come and gone: what the first one costs is not the flood's."""
    ravi = await sign_up(group.url, "Ravi")
    for text in (b"", b"x" * 2**15):
        client = await RawClient.connect(group.port, f"/?token={ravi.token}")
        for _ in range(50):
            client.send(TEXT, text)
        await client.receive()
        client.vanish()
    await asyncio.sleep(0.3)
    watched = Watched(group)
    yield watched
    talk = await ravi.open(group.ws_url)
    assert (await talk.chat(asha, secrets.token_hex(4)))["type"] == "sent"
    await talk.end()
    await watched.is_as_before()


async def flood(client: RawClient, frames: bytes, watched: Watched) -> int:
    """As much as goes through in ``SECONDS``, or until we are cut; the bytes that were taken from us."""
    transport = client.writer.transport
    loop = asyncio.get_running_loop()
    until, sent = loop.time() + SECONDS, 0
    while loop.time() < until and not transport.is_closing():
        if transport.get_write_buffer_size() < AT_A_TIME:
            transport.write(frames)
            sent += len(frames)
        watched.look()
        await asyncio.sleep(0.001)
    return sent - transport.get_write_buffer_size()


FLOODS = {
    "pings": frame(PING, b"p" * 125) * 500,
    "valid frames that make no sense": frame(TEXT, b'{"type":"?"}') * 1000,
    "messages of one byte": frame(TEXT, b"1") * 10_000,
    "empty fragments": frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) * 10_000,
    "fragments that fill the largest message": (frame(TEXT, b"x" * 65_000, fin=False) + frame(0, b"")) * 4,
}


@pytest.mark.parametrize("reads", [False, True], ids=["reads nothing", "reads"])
@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood(group: ServerGroup, asha: Person, watched: Watched, kind: str, reads: bool) -> None:
    client = await RawClient.connect(group.port, f"/?token={asha.token}", receive_buffer=0 if reads else 4096)
    reading = asyncio.ensure_future(client.reader.read(-1)) if reads else None
    if not reads:
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    assert await flood(client, FLOODS[kind], watched) > 0
    client.vanish()
    if reading is not None:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_a_client_that_never_reads_what_others_send(group: ServerGroup, asha: Person, watched: Watched) -> None:
    ravi = await sign_up(group.url, "Ravi")
    client = await RawClient.connect(group.port, f"/?token={asha.token}", receive_buffer=4096)
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    talk = await ravi.open(group.ws_url)
    for number in range(300):
        await talk.send(type="chat", to=asha.mobile, messageId=f"m-{number}", message="x" * 15_000)
        watched.look()
    await talk.wait_all(lambda f: f["type"] == "sent", 300)
    for _ in range(20):
        watched.look()
        await asyncio.sleep(0.1)
    await talk.end()
    client.vanish()


async def test_heads_dripped_by_many(group: ServerGroup, watched: Watched) -> None:
    """Plain sockets: a stream of asyncio's forgets the answer when it writes to a connection that was closed."""
    open_ = [socket.create_connection(("127.0.0.1", group.port)) for _ in range(DRIPPING)]
    answers = dict.fromkeys(open_, b"")
    unended = set(open_)
    for each in open_:
        each.setblocking(False)
        each.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
    async with asyncio.timeout(10):
        while unended:
            for each in list(unended):
                with contextlib.suppress(ConnectionError):
                    each.send(b"x")
                answers[each] += (received := received_by(each)) or b""
                if received is None:
                    unended.discard(each)
                    each.close()
            watched.look()
            await asyncio.sleep(0.1)
    assert {answer[:12] for answer in answers.values()} == {b"HTTP/1.1 408"}


def received_by(client: socket.socket) -> bytes | None:
    """What has come by now; ``None``: the connection was closed, and nothing is left to read."""
    try:
        return client.recv(2**16) or None
    except BlockingIOError:
        return b""
    except ConnectionError:
        return None
