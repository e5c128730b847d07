"""Posts each message to a webhook, signed, and sends what the webhook answers back to the person who wrote.

A message is acknowledged when the webhook has accepted it and its answer is kept, so nothing is lost while the webhook
is away: messages wait on the server. The webhook may get a message twice, with the same ``webhook-id``.

It posts ``{"type":"message.received","data":{"from","id","text","timestamp"}}``, signed as Standard Webhooks says
(https://www.standardwebhooks.com). The webhook answers 2xx, with ``{"reply": "…"}`` if it wants to answer.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import sys
import time

import httpx
from whatsapp_mini import Client, Message, SendFailed, SqliteStore

URL = os.environ.get("WHATSAPP_MINI_URL", "http://127.0.0.1:5000")
NUMBER, PASSWORD = os.environ["WHATSAPP_MINI_NUMBER"], os.environ["WHATSAPP_MINI_PASSWORD"]
WEBHOOK_URL = os.environ["WEBHOOK_URL"]
KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
LONGEST_PAUSE = 60.0


def headers(webhook_id: str, body: bytes) -> dict[str, str]:
    """Who sends it, and that nobody has changed it."""
    now = str(int(time.time()))
    signed = b".".join((webhook_id.encode(), now.encode(), body))
    signature = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    head = {"Content-Type": "application/json", "webhook-id": webhook_id, "webhook-timestamp": now}
    return head | {"webhook-signature": f"v1,{signature}"}


async def deliver(http: httpx.AsyncClient, message: Message) -> str:
    """Post until the webhook accepts it; the reply, or "" if there is none."""
    data = {"from": message.peer, "id": message.id, "text": message.text, "timestamp": message.timestamp}
    body = json.dumps({"type": "message.received", "data": data}).encode()
    webhook_id = "msg_" + hashlib.sha256(f"{message.peer} {message.id}".encode()).hexdigest()[:32]
    pause = 1.0
    while True:
        try:
            answer = await http.post(WEBHOOK_URL, content=body, headers=headers(webhook_id, body))
        except httpx.HTTPError as error:
            why = type(error).__name__
        else:
            if answer.is_success:
                return reply_in(answer)
            why = f"status {answer.status_code}"
        print(f"The webhook did not accept a message ({why}); again in up to {pause:.0f} s.", file=sys.stderr)
        await asyncio.sleep(random.uniform(0, pause))
        pause = min(LONGEST_PAUSE, pause * 2)


def reply_in(answer: httpx.Response) -> str:
    """What the webhook wants to say; an answer that is no JSON says nothing."""
    try:
        said = answer.json()
    except ValueError:
        return ""
    return str(said.get("reply") or "") if isinstance(said, dict) else ""


async def main() -> None:
    store = SqliteStore(f"bridge-{NUMBER}.sqlite")
    async with httpx.AsyncClient(timeout=15) as http, Client(URL, NUMBER, PASSWORD, store=store) as me:
        async for message in me.messages():
            if not (reply := await deliver(http, message)):
                continue
            try:
                # The id is made of the message's: if this is done twice, the reply is there once.
                await me.post(message.peer, reply, message_id=f"re-{message.id}"[:128])
            except SendFailed as refused:  # too long, say, and it would be the next time, too
                print(f"A reply of the webhook cannot be sent ({refused.code}).", file=sys.stderr)


asyncio.run(main())
