"""What the tests of the server share: an echoing connection, a server around it, a client without a library."""

import asyncio
import base64
import contextlib
import os
import socket
import ssl
import struct
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sanic import Request, Sanic
from sanic.response import HTTPResponse, json

from protocol.errors import ApiError, Close
from server.application import MiniSanic, make_app
from server.sanic_upgrade import add_websockets
from server.upgrade_request import UpgradeRequest
from server.websocket.accepted_socket import AcceptedSocket
from settings import Settings

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Every HTTP client reads the certificates of the world otherwise: longer than a server here takes to start."""


def make_settings(**knobs: Any) -> Settings:
    """Settings that need no environment."""
    secret = "0123456789abcdefghijklmnopqrstuvwxyz"
    needed = {"redis_url": "redis://none", "database_url": "postgres://none/none", "jwt_secret": secret}
    return Settings(**{**needed, "rate_limits": "off", **knobs})


class Echo:
    """A connection that sends back what it is told, and remembers all that happened to it."""

    def __init__(self, socket: AcceptedSocket, upgrade: UpgradeRequest | None = None, *, fast: bool = False) -> None:
        self.socket = socket
        self.upgrade = upgrade
        self.fast = fast
        self.messages: list[str | bytes] = []
        self.marks: list[int] = []
        self.signs = 0
        self.offences = 0
        self.catches: list[int] = []
        self.ends: list[tuple[int, str]] = []
        self.has_room = True
        self.pause = 0.0
        self.work_seconds = 0.0

    def handle_message(self, data: str | bytes) -> float:
        if data == "raise":
            raise RuntimeError("the handler broke its promise")
        self.messages.append(data)
        if self.work_seconds:
            time.sleep(self.work_seconds)
        if data != "quiet":
            self.socket.send(data.encode() if isinstance(data, str) else b"(binary)")
        return self.pause

    def handle_batch_end(self) -> None:
        self.catches.append(len(self.messages))

    def handle_sign_of_life(self) -> None:
        self.signs += 1

    def handle_pong(self, mark: int) -> None:
        self.marks.append(mark)

    def handle_violation(self) -> None:
        self.offences += 1

    def handle_lost(self, code: int, reason: str) -> None:
        self.ends.append((code, reason))

    @property
    def is_full(self) -> bool:
        return not self.has_room

    def make_room(self) -> None:
        self.has_room = True
        self.socket.resume_reading()


Attach = Callable[[AcceptedSocket], None]


@dataclass
class LocalServer:
    """A server in this process, which accepts every socket: at once, or when the test says so."""

    app: MiniSanic
    fast: bool = True
    """Whether upgrades are accepted without a request of Sanic's; those whose query names ``sanic`` never are."""
    attach: Attach | None = None
    """Instead of attaching an :class:`Echo`."""
    holds: bool = False
    """Whether upgrades wait in ``held``, each until its future has a result."""
    held: list[asyncio.Future[None]] = field(default_factory=list)
    asked: list[UpgradeRequest] = field(default_factory=list)
    """Those that came without a request of Sanic's."""
    addresses: list[str] = field(default_factory=list)
    port: int = 0
    echoes: list[Echo] = field(default_factory=list)
    protocols: set[Any] = field(default_factory=set)

    def url(self, rest: str = "/") -> str:
        return f"ws://127.0.0.1:{self.port}{rest}"

    async def echo(self) -> Echo:
        """The latest connection, as soon as there is one."""
        await until(lambda: bool(self.echoes))
        return self.echoes[-1]

    async def authenticate(self, upgrade: UpgradeRequest, address: str, *, fast: bool) -> Attach:
        """Fits server.sanic_upgrade.Authenticate."""
        if fast:
            self.asked.append(upgrade)
            self.addresses.append(address)
            if not self.fast or "sanic" in upgrade.query:
                raise ApiError("token_invalid")
            if self.holds:
                self.held.append(asyncio.get_running_loop().create_future())
                await self.held[-1]
        return self.attach or partial(self._echo, upgrade, fast)

    def _echo(self, upgrade: UpgradeRequest, fast: bool, socket: AcceptedSocket) -> None:
        echo = Echo(socket, upgrade, fast=fast)
        self.echoes.append(echo)
        socket.attach(echo)

    async def send(self, data: bytes) -> "RawClient":
        """A connection on which this was sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return RawClient(reader, writer)


def scaled_to_load(seconds: float) -> float:
    """What takes so long on an idle machine may take longer on one with more to do than it has cores."""
    running = int(Path("/proc/loadavg").read_text().split()[3].split("/")[0])
    return seconds * max(1.0, max(running, os.getloadavg()[0]) / (os.cpu_count() or 1))


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def refused(_request: Request, refusal: ApiError) -> HTTPResponse:
    return json(refusal.body(), status=refusal.spec.status)


@contextlib.asynccontextmanager
async def serving(
    attach: Attach | None = None,
    prepare: Callable[[LocalServer], None] | None = None,
    fast: bool = True,
    **knobs: Any,
) -> AsyncIterator[LocalServer]:
    """A server on a free port; ``prepare`` may add to it before it opens."""
    settings = make_settings(**knobs)
    local = LocalServer(make_app(f"local-{uuid.uuid4().hex}", settings), fast, attach)
    add_websockets(local.app, local.authenticate)
    local.app.add_route(_pid, "/")
    local.app.exception(ApiError)(refused)
    if prepare is not None:
        prepare(local)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**15)  # or the kernel hides slow readers for a while
    local.port = listening.getsockname()[1]
    server = await local.app.create_server(sock=listening)
    assert server is not None
    local.protocols = server.connections
    await server.startup()
    await server.before_start()
    await server.after_start()
    try:
        yield local
    finally:
        await server.before_stop()
        await server.close()
        for protocol in list(server.connections):
            protocol.abort()
        await server.after_stop()
        Sanic.unregister_app(local.app)


async def _pid(request: Request) -> HTTPResponse:
    return json({"pid": os.getpid(), "serverId": request.app.ctx.server_id})


class RawClient:
    """A WebSocket client that does nothing by itself: it sends no pong and no close frame, and does not read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(
        cls,
        port: int,
        path: str = "/",
        receive_buffer: int = 0,
        send_buffer: int = 0,
        offer: str = "",
        early: bytes = b"",
    ) -> "RawClient":
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=receive_buffer or 2**16)
        key = base64.b64encode(os.urandom(16)).decode()
        offered = f"Sec-WebSocket-Protocol: {offer}\r\n" if offer else ""
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offered}\r\n".encode()
            + early
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.splitlines()[0]
        return cls(reader, writer)

    def send(self, opcode: int, payload: bytes, fin: bool = True) -> None:
        self.writer.write(frame(opcode, payload, fin))

    async def receive(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. Raises IncompleteReadError at the end."""
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(length)

    async def close_code(self) -> int:
        """Read on to the close frame; its code."""
        while True:
            opcode, payload = await self.receive()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")

    def vanish(self) -> None:
        """Gone, without a close frame."""
        self.writer.transport.abort()


def frame(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    head = bytes([opcode | (0x80 if fin else 0)])
    size = len(payload)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 2**16:
        head += bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", size)
    return head + b"\0\0\0\0" + payload


CLOSED = Close(4508, "replaced")

UPGRADE_HEAD = (
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
"""Without the empty line that ends it."""


async def read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server ends the connection, politely or not."""
    received = b""
    with contextlib.suppress(ConnectionResetError):  # being cut while sending looks like this
        while chunk := await reader.read(4096):
            received += chunk
    return received
