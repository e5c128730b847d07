"""How long each server process takes to answer a WebSocket ping, measured from outside:
``python -m tools.bench.probe``.

The first line of its standard input is an :class:`Order`, as JSON. It writes ``ready``, and when its input
ends, the slow answers (:class:`ProbeReport`), as JSON. Its pings stay below the 20 a second that a connection may send.
Several connections to each process take turns, so that each process is pinged every :data:`EACH_SECONDS`. The figures
include the probe's own wait for a processor: compare them with a calm part of the same run. The probe asks for a high
priority to keep that wait short.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections import deque
from typing import Any, Final, cast

import msgspec
import uvloop
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

TO_EACH: Final = 4
"""Connections to each server process."""
PING_SECONDS: Final = 0.06
EACH_SECONDS: Final = PING_SECONDS / TO_EACH
TOLD_SECONDS: Final = 0.002
"""Shorter times are not reported one by one."""
PEOPLE: Final = 32
"""Accounts it needs: more than it keeps connections."""
CONNECT_SECONDS: Final = 20.0
PRIORITY: Final = -15


class Order(msgspec.Struct):
    """
    :param servers: the ``serverId`` of each process
    :param source: the address to come from
    """

    url: str
    tokens: list[str]
    servers: list[str]
    source: str


class ProbeReport(msgspec.Struct):
    """
    :param slow: for each process, when a ping was sent (``time.monotonic``) and how long its answer took, in seconds
    :param pings: how many there were
    :param closed: connections that ended by themselves
    :param priority: the nice value it ran with
    """

    slow: dict[str, list[tuple[float, float]]]
    pings: int
    closed: int
    priority: int


class _Hello(msgspec.Struct):
    type: str
    serverId: str = ""


class _Probe(WSListener):
    """One connection."""

    def __init__(self) -> None:
        super().__init__()
        self.server: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.slow: list[tuple[float, float]] = []
        self.waiting: dict[bytes, float] = {}
        self.pings = 0
        self.transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The upgrade is done."""
        self.transport = transport

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """``hello``, or an answer."""
        if frame.msg_type == WSMsgType.PONG:
            self.note(self.waiting.pop(frame.get_payload_as_bytes()))
        elif frame.msg_type == WSMsgType.TEXT and not self.server.done():
            data = frame.get_payload_as_bytes()
            first = msgspec.json.decode(data, type=_Hello | list[_Hello])
            self.server.set_result(first[0].serverId if isinstance(first, list) else first.serverId)

    def note(self, sent: float) -> None:
        """An answer to the ping of that time."""
        took = time.monotonic() - sent
        if took >= TOLD_SECONDS:
            self.slow.append((sent, took))

    async def ping(self, after: float) -> None:
        """Until cancelled, or cut."""
        await asyncio.sleep(after)
        while not self.transport.is_disconnected:
            self.pings += 1
            name = str(self.pings).encode()
            self.waiting[name] = time.monotonic()
            self.transport.send_ping(name)
            await asyncio.sleep(PING_SECONDS)


async def _connect(order: Order, token: str) -> _Probe:
    headers: dict[str, Any] = {"extra_headers": {"Sec-WebSocket-Protocol": "wm.v1"}, "local_addr": (order.source, 0)}
    _, made = await ws_connect(_Probe, f"{order.url.replace('http', 'ws', 1)}/?token={token}", **headers)
    probe = cast("_Probe", made)
    await asyncio.wait_for(probe.server, CONNECT_SECONDS)
    return probe


async def _reach(order: Order) -> dict[str, list[_Probe]]:
    """Connections to each process, which the kernel chooses: what goes to one that has enough is given up again.

    :raises RuntimeError: when one could not be reached
    """
    by_server: dict[str, list[_Probe]] = {server: [] for server in order.servers}
    deadline = time.monotonic() + CONNECT_SECONDS
    tokens = deque(order.tokens)
    while any(len(probes) < TO_EACH for probes in by_server.values()) and time.monotonic() < deadline:
        token = tokens.popleft()
        probe = await _connect(order, token)
        chosen = by_server[probe.server.result()]
        if len(chosen) < TO_EACH:
            chosen.append(probe)
        else:
            probe.transport.disconnect(graceful=False)
            tokens.append(token)
    if not all(by_server.values()):
        raise RuntimeError("no connection reached one of the server processes")
    return by_server


async def main(order: Order) -> ProbeReport:
    """Ping until the input ends."""
    try:
        by_server = await _reach(order)
    except (OSError, WSError, TimeoutError) as error:
        raise RuntimeError(f"the probe cannot connect: {error}") from error
    jobs = [
        asyncio.ensure_future(probe.ping(number * EACH_SECONDS))
        for probes in by_server.values()
        for number, probe in enumerate(probes)
    ]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    probes = [probe for probes in by_server.values() for probe in probes]
    closed = sum(probe.transport.is_disconnected for probe in probes)
    for job in jobs:
        job.cancel()
    for probe in probes:
        for sent in probe.waiting.values():
            probe.note(sent)  # an answer that has not come took as long at least
    slow = {server: [each for probe in probes for each in probe.slow] for server, probes in by_server.items()}
    return ProbeReport(slow, sum(probe.pings for probe in probes), closed, os.getpriority(os.PRIO_PROCESS, 0))


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):  # then it runs at the usual priority, and reports that
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    _order = msgspec.json.decode(sys.stdin.readline(), type=Order)
    sys.stdout.write(msgspec.json.encode(uvloop.run(main(_order))).decode() + "\n")
