"""A proxy between the product and Redis, or between clients and the product, whose connections can be broken.

It runs in a thread with an event loop of its own, so that code without asyncio can use it, and a busy campaign does not
slow it down. Every connection has a *kind*: ``commands`` until it sends SUBSCRIBE, and ``pubsub`` from then on. Each
kind has its own :class:`Mode`.

A connection that lost bytes stays dead, whatever the mode is afterwards, because no later byte of it would make sense.
It stays open and silent, as behind a firewall that dropped its state, until one end closes it.
"""

import asyncio
import contextlib
import enum
import re
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

Kind: TypeAlias = Literal["commands", "pubsub"]
Address: TypeAlias = Path | tuple[str, int]
"""Of a Unix socket, or host and port."""
Side: TypeAlias = Literal["client", "server"]
"""Which end sent the bytes."""
T = TypeVar("T")

KINDS: Final[tuple[Kind, ...]] = ("commands", "pubsub")
CHUNK: Final = 64 * 1024
CALL_SECONDS: Final = 5.0
_SUBSCRIBE: Final = re.compile(rb"\*\d+\r\n\$\d+\r\n[PS]?SUBSCRIBE\r\n", re.IGNORECASE)


class Mode(enum.Enum):
    """What happens to the bytes of a connection."""

    PASS = "pass"
    CUT = "cut"
    DELAY = "delay"
    BLACK_HOLE = "black hole"
    NO_REPLIES = "replies swallowed"
    NO_COMMANDS = "commands swallowed"
    CUT_AFTER_NEXT = "cut after the next command ran"


_SWALLOWS: Final[dict[Mode, tuple[Side, ...]]] = {
    Mode.BLACK_HOLE: ("client", "server"),
    Mode.NO_REPLIES: ("server",),
    Mode.NO_COMMANDS: ("client",),
}


@dataclass(eq=False)
class _Wire:
    """One connection of a client, and the proxy's own one to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    kind: Kind = "commands"
    dropped_sides: set[Side] = field(default_factory=set)
    """Sides whose bytes are dropped from now on."""
    cut_at_reply: bool = False
    """A command passed: the connection is cut when the reply comes."""
    abandoned: bool = False
    """Silent whatever the mode is. Neither end learns that the other has closed."""
    gone: bool = False
    """One end has closed, and the other does not know."""

    def abandon(self) -> None:
        self.abandoned = True
        self.dropped_sides.update(("client", "server"))

    def cut(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Listens at ``front``, leads to ``back``.

    :param front: ``(host, 0)`` takes any free port
    """

    def __init__(self, front: Address, back: Address) -> None:
        self.front, self._back = front, back
        self._modes: dict[Kind, Mode] = dict.fromkeys(KINDS, Mode.PASS)
        self._delay = 0.0
        self._wires: set[_Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None

    # ---- from any thread

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._await(self._listen())

    def stop(self) -> None:
        """Cut every connection and stop."""
        self._await(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    def set(self, mode: Mode, *kinds: Kind, seconds: float = 0.2) -> None:
        """Change the mode of these kinds of connections; without any: of all.

        :param seconds: the delay of a reply with ``DELAY``
        """
        self._call(lambda: self._set(mode, kinds or KINDS, seconds))

    def heal(self) -> None:
        """Let everything pass again. Connections that lost bytes stay dead, but are cut when one end closes."""
        self._call(self._heal)

    def abandon(self) -> None:
        """Make every connection silent for good, without a notice to either end. New ones pass."""
        self._call(self._abandon)

    def retarget(self, back: Address) -> None:
        """Connect to another server from now on, as after a failover, and cut every connection."""
        self._call(lambda: self._retarget(back))

    def count(self) -> Counter[Kind]:
        """The number of connections of each kind."""
        return self._call(lambda: Counter(wire.kind for wire in self._wires))

    def _call(self, work: Callable[[], T]) -> T:
        async def do() -> T:
            return work()

        return self._await(do())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    # ---- in the loop

    async def _listen(self) -> None:
        if isinstance(self.front, Path):
            self._server = await asyncio.start_unix_server(self._accept, self.front, limit=CHUNK, backlog=1024)
        else:
            self._server = await asyncio.start_server(self._accept, *self.front, limit=CHUNK, backlog=8192)
            self.front = self._server.sockets[0].getsockname()[:2]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._retarget(self._back)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if isinstance(self.front, Path):
            self.front.unlink(missing_ok=True)

    def _set(self, mode: Mode, kinds: tuple[Kind, ...], seconds: float) -> None:
        self._delay = seconds / 2  # on the way there, and on the way back
        for kind in kinds:
            self._modes[kind] = mode
        if mode is Mode.CUT:
            for wire in list(self._wires):
                if wire.kind in kinds:
                    wire.cut()

    def _abandon(self) -> None:
        for wire in self._wires:
            wire.abandon()

    def _heal(self) -> None:
        self._modes = dict.fromkeys(KINDS, Mode.PASS)
        for wire in list(self._wires):
            wire.abandoned = False
            if wire.gone:
                wire.cut()

    def _retarget(self, back: Address) -> None:
        self._back = back
        for wire in list(self._wires):
            wire.cut()

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._carry(reader, client)
        finally:
            client.transport.abort()
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if all(mode is Mode.CUT for mode in self._modes.values()):
            return
        try:
            back, server = await self._dial()
        except OSError:
            return
        wire = _Wire(client, server)
        self._wires.add(wire)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(wire, "client", reader, server))
                both.create_task(self._pump(wire, "server", back, client))
        finally:
            wire.cut()
            self._wires.discard(wire)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._back, Path):
            return await asyncio.open_unix_connection(self._back, limit=CHUNK)
        return await asyncio.open_connection(*self._back, limit=CHUNK)

    async def _pump(self, wire: _Wire, side: Side, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on the bytes of one side, delayed and in order, until an end closes."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)
        writing = asyncio.create_task(_write(queue, writer))
        try:
            with contextlib.suppress(OSError):
                while not writing.done() and (data := await reader.read(CHUNK)):
                    if self._passes(wire, side, data):
                        delay = self._delay if self._modes[wire.kind] is Mode.DELAY else 0.0
                        await queue.put((self._loop.time() + delay, data))
            if wire.abandoned or side in _SWALLOWS.get(self._modes[wire.kind], ()):
                wire.gone = True  # the other end does not learn of it
                return
            while not queue.empty() and not writing.done():
                await asyncio.sleep(0.005)
            wire.cut()
        finally:
            writing.cancel()

    def _passes(self, wire: _Wire, side: Side, data: bytes) -> bool:
        """Whether these bytes pass."""
        if side == "client" and _SUBSCRIBE.match(data):
            wire.kind = "pubsub"
        mode = self._modes[wire.kind]
        if side in _SWALLOWS.get(mode, ()):
            wire.dropped_sides.add(side)
        if mode is Mode.CUT or (wire.cut_at_reply and side == "server"):
            wire.cut()
            return False
        if mode is Mode.CUT_AFTER_NEXT and side == "client" and not wire.dropped_sides:
            self._modes[wire.kind] = Mode.PASS  # once
            wire.cut_at_reply = True
        return side not in wire.dropped_sides


async def _write(queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while True:
            due, data = await queue.get()
            await asyncio.sleep(due - loop.time())  # one after another, so that the order stays
            writer.write(data)
            await writer.drain()
