"""Many people connect, lose their sockets together, and connect again all at once.

In a process of its own, so that it does not slow those who keep the history: ``python -m tools.chaos.herd`` reads
``{"tokens": […], "urls": ["http://…", …]}`` and says ``{"first", "again", "failed"}``: seconds until all were in.
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

PATIENCE: Final = 30.0
ATTEMPTS: Final = 5


async def _enter(url: str, token: str) -> ClientConnection | None:
    """Connected and greeted; None: after some attempts still not."""
    for attempt in range(ATTEMPTS):
        try:
            made = await connect(
                f"{url.replace('http', 'ws', 1)}/?token={token}",
                subprotocols=[websockets.Subprotocol("wm.v1")],
                compression=None,
                open_timeout=PATIENCE,
                close_timeout=1,
                proxy=None,
            )
            await asyncio.wait_for(made.recv(), PATIENCE)
        except (OSError, TimeoutError, websockets.WebSocketException):
            await asyncio.sleep(random.uniform(0.1, 0.5 * 2**attempt))  # noqa: S311 - a spread, not a secret
        else:
            return made
    return None


async def _all(urls: Sequence[str], tokens: Sequence[str]) -> tuple[float, list[ClientConnection]]:
    began = time.monotonic()
    found = await asyncio.gather(
        *[_enter(url, token) for url, token in zip(itertools.cycle(urls), tokens, strict=False)]
    )
    return time.monotonic() - began, [each for each in found if each is not None]


async def _storm(urls: Sequence[str], tokens: Sequence[str]) -> dict[str, float]:
    first, sockets = await _all(urls, tokens)
    for each in sockets:
        each.transport.abort()
    again, back = await _all(urls, tokens)
    for each in back:
        each.transport.abort()
    return {"first": round(first, 2), "again": round(again, 2), "failed": len(tokens) - len(back)}


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    given = json.load(sys.stdin)
    print(json.dumps(uvloop.run(_storm(given["urls"], given["tokens"]))))
