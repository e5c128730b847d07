"""People of the visitors' take everything that waits for them, so that what is left is the servers' own."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Final

from tests.server.support import PING, PONG, TEXT, RawClient, frame
from tools.chaos.fuzz.visits import GONE, come

QUIET_SECONDS: Final = 1.0


async def tidy(port: int, tokens: Sequence[str]) -> None:
    """Ack all of it, chats and receipts, until nothing more comes to any of them."""
    clients = [await come(port, token, v1=True) for token in tokens]
    heard = [asyncio.get_running_loop().time()]
    taking = [asyncio.ensure_future(_take(client, heard)) for client in clients]
    while asyncio.get_running_loop().time() - heard[0] < QUIET_SECONDS:
        await asyncio.sleep(0.1)
    for task, client in zip(taking, clients, strict=True):
        task.cancel()
        client.vanish()
    await asyncio.gather(*taking, return_exceptions=True)


async def _take(client: RawClient, heard: list[float]) -> None:
    with contextlib.suppress(*GONE):
        while True:
            opcode, payload = await client.receive()
            if opcode == PING:
                client.writer.write(frame(PONG, payload))
            elif opcode == TEXT:
                found = json.loads(payload)
                ids = [
                    each["streamId"] for each in (found if isinstance(found, list) else [found]) if "streamId" in each
                ]
                if ids:
                    heard[0] = asyncio.get_running_loop().time()
                    ack = {"type": "ack", "ackType": "delivered", "streamIds": ids}
                    client.send(TEXT, json.dumps(ack).encode())
