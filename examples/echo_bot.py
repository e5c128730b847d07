"""Answers each message with its own text. Killed at any moment and started again, it answers each message once."""

import asyncio
import logging
import os

from whatsapp_mini import Client, SqliteStore


async def main(number: str, password: str, url: str) -> None:
    async with Client(url, number, password, store=SqliteStore(f"echo-{number}.sqlite")) as me:
        async for message in me.messages():
            await me.send(message.peer, message.text, message_id=f"echo-{message.id}"[:128])


logging.basicConfig(level=logging.INFO)
env = {"WHATSAPP_MINI_URL": "http://127.0.0.1:5000", **os.environ}
asyncio.run(main(*(env[f"WHATSAPP_MINI_{name}"] for name in ("NUMBER", "PASSWORD", "URL"))))
