"""The scripted server: it speaks what a client needs of the product, correctly until a case says otherwise.

It shares no code with the product. A case plans *reactions* for a route: each is used for one request, in their order;
after them the server behaves well again.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import urllib.parse
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from tools.conformance.accounts import ME, Accounts, Refused
from tools.conformance.waiting import Changes
from tools.conformance.wire import Frame, Socket

LOGIN: Final = "POST /auth/login"
REFRESH: Final = "POST /auth/refresh"
TICKETS: Final = "POST /v1/tickets"
UPGRADE: Final = "UPGRADE"
"""The opening of a socket, for reactions."""
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REASONS: Final = {101: "Switching Protocols", 200: "OK"}


@dataclass(frozen=True)
class Request:
    """One HTTP request. ``path`` has no query."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    target: str

    @property
    def route(self) -> str:
        """As cases name it."""
        return UPGRADE if "upgrade" in self.headers else f"{self.method} {self.path}"

    @property
    def token(self) -> str:
        """The bearer token, or ""."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else ""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. ``body``: what becomes JSON, or text that is sent as it is."""

    status: int = 200
    body: Any = field(default_factory=lambda: {"success": True})
    headers: dict[str, str] = field(default_factory=dict)


class Cut(Exception):
    """The connection ends without an answer."""


Default = Callable[[], Answer]
Reaction = Callable[[Default], Awaitable[Answer]]


def refuse(
    status: int, code: str, *, retry_after: float | None = None, header: int | None = None, **more: Any
) -> Reaction:
    """A refusal, as the product words it.

    :param retry_after: ``retryAfter`` of the body, in seconds
    :param header: ``Retry-After``, in seconds
    """
    body: dict[str, Any] = {"success": False, "message": "Refused.", "type": "about:blank", "title": "Refused"}
    body |= {"status": status, "code": code, **more} | ({} if retry_after is None else {"retryAfter": retry_after})
    return answer(status, body, {} if header is None else {"Retry-After": str(header)})


def answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Reaction:
    """Exactly this answer; nothing is done."""

    async def react(_: Default) -> Answer:
        return Answer(status, body, headers or {})

    return react


async def lost_request(_: Default) -> Answer:
    """The connection ends before anything is done."""
    raise Cut


async def lost_answer(default: Default) -> Answer:
    """What was asked for is done, and the connection ends before the answer."""
    with contextlib.suppress(Refused):
        default()
    raise Cut


def held(gate: asyncio.Event) -> Reaction:
    """It is done at once, and answered when the gate opens."""

    async def react(default: Default) -> Answer:
        made = default()
        await gate.wait()
        return made

    return react


async def silent(_: Default) -> Answer:
    """No answer, and the connection stays open."""
    await asyncio.Event().wait()
    raise Cut


async def done_and_silent(default: Default) -> Answer:
    """What was asked for is done, and there is no answer."""
    default()
    return await silent(default)


class Server:
    """Listens on a port of its own while its context is open."""

    def __init__(self, changes: Changes) -> None:
        self.accounts = Accounts()
        self.requests: list[Request] = []
        self.sockets: list[Socket] = []
        self.hello: Frame = {
            "type": "hello",
            "serverId": "scripted-1",
            "deviceId": "primary",
            "mobileNo": ME,
            "epoch": "epoch-1",
            "window": 256,
            "maxMessageBytes": 16_384,
            "pingSeconds": 20,
            "protocol": "wm.v1",
        }
        self.says_hello = True
        self.answers_chats = True
        """Whether a chat gets ``sent`` by itself."""
        self.timestamp = 1_795_000_000_000
        self.routes: dict[str, Callable[[Request], dict[str, Any]]] = {}
        """What is answered on further routes, beyond ``success``."""
        self._changes = changes
        self._plans: dict[str, deque[Reaction]] = defaultdict(deque)
        self._always: dict[str, Reaction] = {}
        self._awaited = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1 << 22)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """Its base URL."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    # ---- what a case says and asks

    def plan(self, route: str, *reactions: Reaction) -> None:
        """The next requests of this route get these reactions, one each."""
        self._plans[route] += reactions

    def always(self, route: str, reaction: Reaction | None) -> None:
        """Requests of this route without a plan get this reaction. None: the server behaves well again."""
        if reaction is None:
            self._always.pop(route, None)
        else:
            self._always[route] = reaction

    def asked(self, route: str) -> list[Request]:
        """All requests of this route."""
        return [request for request in self.requests if request.route == route]

    async def request(self, route: str, count: int = 1) -> Request:
        """The ``count``-th request of this route.

        :raises AssertionError: it did not come
        """
        await self._changes.until(
            lambda: len(self.asked(route)) >= count,
            lambda: f"request {count} of {route}; came: {[request.route for request in self.requests][-6:]}",
        )
        return self.asked(route)[count - 1]

    async def socket(self) -> Socket:
        """The next socket that was not asked for before, opened.

        :raises AssertionError: none was opened
        """
        number = self._awaited
        await self._changes.until(
            lambda: len(self.sockets) > number,
            lambda: f"socket {number + 1}; requests: {[request.route for request in self.requests][-6:]}",
        )
        self._awaited += 1
        return self.sockets[number]

    @property
    def unasked(self) -> int:
        """How many sockets were opened that nobody asked for yet."""
        return len(self.sockets) - self._awaited

    @property
    def open_sockets(self) -> list[Socket]:
        """Those that have not ended."""
        return [socket for socket in self.sockets if socket.code is None]

    # ---- HTTP

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while await self._exchange(reader, writer):
                pass
        except (Cut, ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        except asyncio.CancelledError:
            pass  # the case is over; asyncio would report it otherwise
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether another may follow."""
        request = await _read_request(reader)
        self.requests.append(request)
        self._changes.notify()
        made = await self._react(request)
        if made.status == 101:
            await self._serve_socket(reader, writer, made)
            return False
        _write(writer, made)
        await writer.drain()
        return request.route != UPGRADE

    async def _react(self, request: Request) -> Answer:
        def default() -> Answer:
            return self._handle(request)

        planned = self._plans[request.route]
        reaction = planned.popleft() if planned else self._always.get(request.route)
        try:
            return default() if reaction is None else await reaction(default)
        except Refused as refused:
            return await refuse(refused.status, refused.code)(default)

    def _handle(self, request: Request) -> Answer:
        accounts = self.accounts
        if request.route == UPGRADE:
            accounts.use_ticket(request.query.get("ticket", ""))
            return Answer(101, None, _accepted(request))
        if request.route == LOGIN:
            return Answer(200, accounts.log_in(request.body or {}))
        if request.route == REFRESH:
            return Answer(200, accounts.refresh(request.body or {}))
        accounts.check(request.token)
        if request.route == TICKETS:
            ticket = {"ticket": accounts.ticket(), "expiresIn": 30}
            return Answer(200, {"success": True, "message": "ticket issued", **ticket})
        more = self.routes[request.route](request) if request.route in self.routes else {"data": []}
        return Answer(200, {"success": True, "message": "done", **more})

    # ---- sockets

    async def _serve_socket(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, made: Answer) -> None:
        _write(writer, made)
        socket = Socket(reader, writer, self._changes)
        self.sockets.append(socket)
        if self.says_hello:
            self.welcome(socket)
        socket.on_frame = lambda frame: self._on_frame(socket, frame)
        self._changes.notify()
        await socket.read()

    def welcome(self, socket: Socket, **fields: Any) -> None:
        """Send ``hello``."""
        socket.send({**self.hello, "connectionId": f"connection-{len(self.sockets)}", **fields})

    def _on_frame(self, socket: Socket, frame: Frame) -> None:
        if frame["type"] == "ping" and socket.answers_pings:
            socket.send({"type": "pong"})
        elif frame["type"] == "chat" and self.answers_chats:
            self.answer(socket, frame)

    def answer(self, socket: Socket, chat: Frame) -> int:
        """Send ``sent`` for a chat; its timestamp, in milliseconds."""
        self.timestamp += 1000
        socket.send({"type": "sent", "messageId": chat["messageId"], "to": chat["to"], "timestamp": self.timestamp})
        return self.timestamp

    def refuse_chat(self, socket: Socket, chat: Frame, code: str, *, retryable: bool, **more: Any) -> None:
        """Send an error that names this chat."""
        named = {"messageId": chat["messageId"], "to": chat["to"]}
        socket.send(error(code, retryable=retryable, **named, **more))


def error(code: str, *, retryable: bool, component: str = "chat", **more: Any) -> Frame:
    """An error frame. Its sentence says the contrary of what it means: nobody may guess from it."""
    sentence = "This can never work." if retryable else "Try again in a moment."
    return {
        "type": "error",
        "code": code,
        "component": component,
        "message": sentence,
        "retryable": retryable,
        **more,
    }


def _accepted(request: Request) -> dict[str, str]:
    key = request.headers["sec-websocket-key"].encode()
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
    offered = [each.strip() for each in request.headers.get("sec-websocket-protocol", "").split(",")]
    return headers | ({"Sec-WebSocket-Protocol": "wm.v1"} if "wm.v1" in offered else {})


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    url = urllib.parse.urlsplit(target)
    return Request(
        method, url.path, dict(urllib.parse.parse_qsl(url.query)), headers, json.loads(raw) if raw else None, target
    )


def _write(writer: asyncio.StreamWriter, made: Answer) -> None:
    lines = [f"HTTP/1.1 {made.status} {_REASONS.get(made.status, 'Refused')}"]
    body = b""
    if made.status != 101:
        body = made.body.encode() if isinstance(made.body, str) else json.dumps(made.body).encode()
        kind = "text/html" if isinstance(made.body, str) else "application/json"
        lines += [f"Content-Length: {len(body)}", f"Content-Type: {kind}"]
    lines += [f"{name}: {value}" for name, value in made.headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
