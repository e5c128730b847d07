"""The examples of the README run as they are printed; only the server's address is another."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from whatsapp_mini import ApiError, Client
from whatsapp_mini.events import FrameSeen

from tests.support.people import PASSWORD
from tests.support.stack import ServerGroup

ROOT = Path(__file__).parents[3]
README = (ROOT / "clients" / "python" / "README.md").read_text(encoding="utf-8")
FIRST_PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
SEND, BOT, LOOP, EVENTS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
ASHA, BEN, THIRD = "919800000001", "919800000002", "919800000003"
SECONDS = 30


def test_the_bot_on_the_first_page_is_the_one_that_runs_here() -> None:
    assert re.findall(r"```python\n(.*?)```", FIRST_PAGE, re.DOTALL) == [BOT]


@asynccontextmanager
async def running(code: str, url: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """One example as a program of its own."""
    assert "http://127.0.0.1:5000" in code
    example = folder / "example.py"
    example.write_text(code.replace("http://127.0.0.1:5000", url), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python" / "src"), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(sys.executable, str(example), env=env, cwd=folder, **pipes)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def output(process: asyncio.subprocess.Process) -> str:
    """What it printed, when it has ended well."""
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.fixture
async def ben(product: ServerGroup) -> AsyncIterator[Client]:
    """The other one, who is online. All numbers of the README have an account, and nothing waits for them."""
    for number in (ASHA, BEN, THIRD):
        client = Client(product.url, number, PASSWORD)
        with contextlib.suppress(ApiError):  # by the test before
            await client.sign_up("Somebody")
        events = client.events(frames=True)
        async with client, asyncio.timeout(SECONDS):
            await anext(event async for event in events if isinstance(event, FrameSeen) and is_all(event.frame))
    async with Client(product.url, BEN, PASSWORD, device_id="test") as client:
        yield client


def is_all(frame: Mapping[str, Any]) -> bool:
    """Whether everything that waited has come."""
    return frame["type"] == "synced"


async def heard(client: Client, text: str) -> None:
    async with asyncio.timeout(SECONDS):
        async for message in client.messages():
            if message.text == text:
                return


async def test_send_a_message(product: ServerGroup, ben: Client, tmp_path: Path) -> None:
    assert sum(bool(line.strip()) for line in SEND.splitlines()) <= 6
    async with running(SEND, product.url, tmp_path) as process:
        await heard(ben, "hello")
        await output(process)


async def test_a_bot_that_echoes(product: ServerGroup, ben: Client, tmp_path: Path) -> None:
    async with (
        running(BOT, product.url, tmp_path) as process,
        Client(product.url, ASHA, PASSWORD, device_id="test") as asha,
    ):
        await asha.send(BEN, "hello, echo")
        await heard(asha, "hello, echo")
        assert process.returncode is None
    assert (tmp_path / "echo.db").exists()


async def test_a_loop(product: ServerGroup, ben: Client, tmp_path: Path) -> None:
    async with running(LOOP, product.url, tmp_path) as process:
        for text in ("hello, loop", "stop"):
            await ben.send(THIRD, text)
        assert f"{BEN} hello, loop\n{BEN} stop\n" in await output(process)


async def test_look_on(product: ServerGroup, ben: Client, tmp_path: Path) -> None:
    async with running(EVENTS, product.url, tmp_path) as process:
        await heard(ben, "Are you there?")
        await asyncio.sleep(0.5)  # its tick is printed, and nothing but the output tells when
        await ben.send(ASHA, "hello, I am")
        printed = await output(process)
    assert f"{BEN} is online" in printed
    assert f"{BEN} 1 sent" in printed
    assert f"{BEN} hello, I am" in printed
    assert f"{BEN} 0 hello, I am" in printed
