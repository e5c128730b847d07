"""What the tests of this room share: an echoing connection, an application around it, a client without manners."""

import asyncio
import base64
import contextlib
import os
import socket
import struct
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanic import Request, Sanic
from sanic.response import HTTPResponse, json

from protocol.errors import ApiError, Close
from server.application import MiniSanic, make_app
from server.routes import add_sockets
from server.websocket.accepted_socket import AcceptedSocket
from settings import Settings

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def make_settings(**knobs: Any) -> Settings:
    """Settings that need no environment."""
    secret = "0123456789abcdefghijklmnopqrstuvwxyz"
    needed = {"redis_url": "redis://none", "database_url": "postgres://none/none", "jwt_secret": secret}
    return Settings(**{**needed, "rate_limits": "off", **knobs})


class Echo:
    """A connection that sends back what it is told, and remembers all that happened to it."""

    def __init__(self, socket: AcceptedSocket, request: Request) -> None:
        self.socket = socket
        self.request = request
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
            raise RuntimeError("the listener broke its promise")
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


Handler = Callable[[Request, AcceptedSocket], Awaitable[None]]


@dataclass
class House:
    """A server in this process."""

    app: MiniSanic
    port: int = 0
    echoes: list[Echo] = field(default_factory=list)
    protocols: set[Any] = field(default_factory=set)

    def url(self, rest: str = "/") -> str:
        return f"ws://127.0.0.1:{self.port}{rest}"

    async def echo(self) -> Echo:
        """The latest connection, as soon as there is one."""
        await until(lambda: bool(self.echoes))
        return self.echoes[-1]

    async def handle(self, request: Request, socket: AcceptedSocket) -> None:
        echo = Echo(socket, request)
        self.echoes.append(echo)
        socket.attach(echo)


def patience(seconds: float) -> float:
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
    handler: Handler | None = None, prepare: Callable[[House], None] | None = None, **knobs: Any
) -> AsyncIterator[House]:
    """A house on a free port; ``prepare`` may add to it before it opens."""
    settings = make_settings(**knobs)
    house = House(make_app(f"house-{uuid.uuid4().hex}", settings))
    add_sockets(house.app, handler or house.handle)
    house.app.add_route(_pid, "/")
    house.app.exception(ApiError)(refused)
    if prepare is not None:
        prepare(house)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**15)  # or the kernel hides slow readers for a while
    house.port = listening.getsockname()[1]
    server = await house.app.create_server(sock=listening)
    assert server is not None
    house.protocols = server.connections
    await server.startup()
    await server.before_start()
    await server.after_start()
    try:
        yield house
    finally:
        await server.before_stop()
        await server.close()
        for protocol in list(server.connections):
            protocol.abort()
        await server.after_stop()
        Sanic.unregister_app(house.app)


async def _pid(request: Request) -> HTTPResponse:
    return json({"pid": os.getpid(), "serverId": request.app.ctx.server_id})


class RawClient:
    """A WebSocket client that does nothing by itself: no pong, no close reply, no reading."""

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
        """Gone, without a word."""
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
