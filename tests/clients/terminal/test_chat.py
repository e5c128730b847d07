"""The messenger, with the real product behind it."""

from pathlib import Path

from tests.clients.terminal.support import messenger, talker
from tests.support.people import PASSWORD, new_mobile, sign_up
from tests.support.stack import ServerGroup


async def test_somebody_new_signs_up_and_writes(product: ServerGroup, tmp_path: Path) -> None:
    asha = await sign_up(product.url)
    number = new_mobile()
    async with talker(product.url, asha.mobile) as friend, messenger(tmp_path, product.url) as ravi:
        await ravi.fill("mobile", number, "enter")
        await ravi.fill("password", PASSWORD, "enter")
        await ravi.sees("New here?")
        await ravi.fill("name", "Ravi", "enter")
        await ravi.sees("● online", f"Your number is {number}")

        await ravi.press("ctrl+o")
        await ravi.write(asha.mobile, "enter")
        await ravi.sees("Asha", "The server keeps a message only until")
        await ravi.write("hello", "enter")
        message = await anext(friend.messages())
        assert (message.peer, message.text) == (number, "hello")
        await ravi.sees("hello", "✓ sent")
