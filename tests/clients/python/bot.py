"""A process that the test kills: it sends 250 messages, keeps what comes, and ends when it has all.

It begins again from the start each time: with ids of its own, a message that was written before is not written twice.
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "clients" / "python" / "src"))

from whatsapp_mini import Client, SqliteStore


async def main(url: str, mobile_no: str, password: str, peer: str, path: str) -> None:
    store = SqliteStore(path, history=True)
    async with Client(url, mobile_no, password, store=store) as me:
        answers = [
            asyncio.ensure_future(me.send(peer, f"hello {number}", message_id=f"m{number}")) for number in range(250)
        ]
        while True:
            kept = await store.messages_with(peer, limit=1000)
            if sum(not message.mine for message in kept) >= 250:
                break
            await asyncio.sleep(0.05)
        await asyncio.gather(*answers)


asyncio.run(main(*sys.argv[1:]))
