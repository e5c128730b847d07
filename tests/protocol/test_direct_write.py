"""Bytes leave at once, in order, and none is lost or written to somebody else."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import uvloop

from protocol.direct_write import NO_FD, plain_fd, write_now


class Ends:
    """A transport of the event loop's, and the plain socket at its other end."""

    def __init__(self, transport: asyncio.Transport, other: socket.socket) -> None:
        self.transport, self.other = transport, other
        self.fd = plain_fd(transport)

    def received(self) -> bytes:
        """What the system has passed on by now, without a turn of the loop."""
        try:
            return self.other.recv(2**22)
        except BlockingIOError:
            return b""


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    mine, other = socket.socketpair()
    other.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=mine)
    yield Ends(transport, other)
    transport.abort()
    other.close()


async def test_bytes_leave_at_once(ends: Ends) -> None:
    write_now(ends.transport, ends.fd, b"one")
    assert ends.received() == b"one"


async def test_bytes_never_overtake_what_the_transport_still_has(ends: Ends) -> None:
    sent = bytearray()
    while not ends.transport.get_write_buffer_size():
        sent += (piece := bytes([len(sent) % 251]) * 60_000)
        write_now(ends.transport, ends.fd, piece)
    for piece in (b"behind", b"it"):
        sent += piece
        write_now(ends.transport, ends.fd, piece)
    received = bytearray()
    async with asyncio.timeout(10):
        while len(received) < len(sent):
            received += ends.received()
            await asyncio.sleep(0)
    assert received == sent


async def test_nothing_is_written_to_a_descriptor_that_may_be_anothers(ends: Ends) -> None:
    ends.transport.abort()
    write_now(ends.transport, ends.fd, b"late")
    assert ends.received() == b""


async def test_a_peer_that_is_gone_is_the_transports_to_notice() -> None:
    lost = asyncio.get_running_loop().create_future()

    class Protocol(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.set_result(exc)

    mine, other = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(Protocol, sock=mine)
    other.close()
    fd = plain_fd(transport)
    for _ in range(2):
        write_now(transport, fd, b"x")
    async with asyncio.timeout(5):
        await lost


def test_what_is_to_be_encrypted_is_left_to_the_transport() -> None:
    class Encrypting:
        def __init__(self) -> None:
            self.written = b""

        def get_extra_info(self, name: str) -> Any:
            return {"sslcontext": ssl.create_default_context(), "socket": socket.socketpair()[0]}[name]

        def write(self, data: bytes) -> None:
            self.written += data

    transport = Encrypting()
    fd = plain_fd(cast("asyncio.Transport", transport))
    assert fd == NO_FD
    write_now(cast("asyncio.Transport", transport), fd, b"plain")
    assert transport.written == b"plain"


def test_uvloops_transports_have_a_descriptor_and_bytes_leave_at_once() -> None:
    async def write() -> bytes:
        mine, other = socket.socketpair()
        other.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=mine)
        ends = Ends(transport, other)
        assert ends.fd == mine.fileno()
        write_now(ends.transport, ends.fd, b"one")
        received = ends.received()
        transport.abort()
        other.close()
        return received

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(write()) == b"one"
