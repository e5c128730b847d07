"""Many clients connect, lose their sockets at the same moment, and connect again at once.

It runs in a process of its own, so that it does not slow the clients that write the history.
``python -m tools.chaos.mass_reconnect`` reads ``{"tokens": […], "urls": ["http://…", …]}`` from its standard input and
prints ``{"first", "again", "failed"}``: seconds until all were connected, twice, and how many were not.
"""

import asyncio
import itertools
import json
import random
import resource
import sys
import time
from collections.abc import Sequence
from typing import Final

import uvloop
import websockets
from websockets.asyncio.client import ClientConnection, connect

OPEN_SECONDS: Final = 30.0
ATTEMPTS: Final = 5


async def _connect(url: str, token: str) -> ClientConnection | None:
    """A socket on which the first frame arrived; None: every attempt failed."""
    for attempt in range(ATTEMPTS):
        try:
            socket = await connect(
                f"{url.replace('http', 'ws', 1)}/?token={token}",
                subprotocols=[websockets.Subprotocol("wm.v1")],
                compression=None,
                open_timeout=OPEN_SECONDS,
                close_timeout=1,
                proxy=None,
            )
            await asyncio.wait_for(socket.recv(), OPEN_SECONDS)
        except (OSError, TimeoutError, websockets.WebSocketException):
            await asyncio.sleep(random.uniform(0.1, 0.5 * 2**attempt))  # noqa: S311 - a spread, not a secret
        else:
            return socket
    return None


async def _connect_all(urls: Sequence[str], tokens: Sequence[str]) -> tuple[float, list[ClientConnection]]:
    began = time.monotonic()
    sockets = await asyncio.gather(
        *[_connect(url, token) for url, token in zip(itertools.cycle(urls), tokens, strict=False)]
    )
    return time.monotonic() - began, [socket for socket in sockets if socket is not None]


async def _reconnect(urls: Sequence[str], tokens: Sequence[str]) -> dict[str, float]:
    first, sockets = await _connect_all(urls, tokens)
    for socket in sockets:
        socket.transport.abort()
    again, sockets = await _connect_all(urls, tokens)
    for socket in sockets:
        socket.transport.abort()
    return {"first": round(first, 2), "again": round(again, 2), "failed": len(tokens) - len(sockets)}


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    given = json.load(sys.stdin)
    print(json.dumps(uvloop.run(_reconnect(given["urls"], given["tokens"]))))
