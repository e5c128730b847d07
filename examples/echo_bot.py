"""Answers each message with its own text. Killed at any moment and started again, it answers each message once."""

import asyncio
import logging
import os

from whatsapp_mini import Client, SqliteStore

URL = os.environ.get("WHATSAPP_MINI_URL", "http://127.0.0.1:5000")
NUMBER, PASSWORD = os.environ["WHATSAPP_MINI_NUMBER"], os.environ["WHATSAPP_MINI_PASSWORD"]


async def main() -> None:
    async with Client(URL, NUMBER, PASSWORD, store=SqliteStore(f"echo-{NUMBER}.sqlite")) as me:
        async for message in me.messages():
            # The answer is kept before the message is acknowledged. Its id is made of the message's: it goes out once.
            await me.post(message.peer, message.text, message_id=f"echo-{message.id}"[:128])


logging.basicConfig(level=logging.INFO)
asyncio.run(main())
