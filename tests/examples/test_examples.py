"""The examples, started with the commands that examples/README.md prints. (The page's other blocks: tests/docs.)"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from whatsapp_mini import Client, Events, Message
from whatsapp_mini.events import MessageCame, Tick

from tests.support.browser import chromium_or_skip
from tests.support.documented import Block, as_run, blocks
from tests.support.people import PASSWORD, sign_up
from tests.support.processes import patient
from tests.support.stack import ROOT, ServerGroup, Stack
from tests.support.waiting import until
from tools.devstack.javascript import node, node_is_wanted
from tools.devstack.probe import free_port

if TYPE_CHECKING:
    from playwright.async_api import Page

README = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
SECONDS = 30.0
ORIGIN_PORT = free_port()


@pytest.fixture(scope="module")
def server(lasting_stack: Stack) -> ServerGroup:
    """A product that lets in pages of the port that the test serves."""
    return lasting_stack.start(workers=1, CORS_ORIGINS=f"http://localhost:{ORIGIN_PORT}")


def printed(part: str) -> Block:
    """The block with this in it."""
    (found,) = [block for block in blocks(README) if part in block.text]
    return found


@asynccontextmanager
async def example(server: ServerGroup, folder: Path, text: str) -> AsyncIterator[Process]:
    """Runs commands of the page in a folder that looks like a clone; kills what is left of them at the end."""
    for name in ("clients", "examples"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(sys.prefix)
    found = node()
    path = f"{Path(found.node[0]).parent}:{os.environ['PATH']}" if found else os.environ["PATH"]
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", as_run(text, server.port), cwd=folder, stderr=PIPE, start_new_session=True,
        env={**os.environ, "PATH": path, "WHATSAPP_MINI_URL": server.url},
    )  # fmt: skip
    try:
        yield process
    finally:
        kill(process)
        await process.wait()


def kill(process: Process) -> None:
    """The shell and what it started, without a word before."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)


async def shows(process: Process, text: str) -> None:
    """Until it says so, where errors go."""
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(patient(SECONDS)):
        while text not in said:
            line = await process.stderr.readline()
            assert line, said
            said += line.decode()


@pytest.fixture
async def asha(server: ServerGroup) -> AsyncIterator[Client]:
    """Somebody who writes to the bots."""
    person = await sign_up(server.url, "Asha")
    async with Client(server.url, person.mobile, PASSWORD) as client:
        yield client


async def of_somebody(server: ServerGroup, text: str) -> tuple[str, str]:
    """The commands with the number of a person that is made for this test; and the number."""
    person = await sign_up(server.url, "Bot")
    return re.sub(r"(?<=WHATSAPP_MINI_NUMBER=)\d+", person.mobile, text), person.mobile


def bots() -> list[Any]:
    """The printed command of each."""
    without_node = not (node() or node_is_wanted())
    return [
        pytest.param("examples/echo_bot.py", id="python"),
        pytest.param("examples/echo_bot.mjs", id="js", marks=pytest.mark.skipif(without_node, reason="needs Node")),
    ]


@pytest.mark.parametrize("bot", bots())
async def test_a_bot_that_is_killed_answers_each_message_once(
    server: ServerGroup, tmp_path: Path, asha: Client, bot: str
) -> None:
    text, number = await of_somebody(server, printed(bot).text)
    found = node()
    if found and found.program != found.node:  # the page says what Node 20 needs
        text = text.replace("node examples", f"node {found.program[-1]} examples")
    messages, answers = [f"hello {n}" for n in range(30)], []
    sending = asyncio.create_task(send_all(asha, number, messages))
    coming = asha.messages()
    for enough in (10, 20, len(messages)):
        async with example(server, tmp_path, text) as process:
            await shows(process, "online")
            while len(answers) < enough:
                answers.append((await asyncio.wait_for(anext(coming), patient(SECONDS))).text)
    await sending
    async with example(server, tmp_path, text) as process:  # what it had in hand when it was killed last
        await shows(process, "online")
        await asha.send(number, "hello, the last")
        answers.append((await asyncio.wait_for(anext(coming), patient(SECONDS))).text)
    assert answers == [*messages, "hello, the last"]


@pytest.mark.parametrize("bot", bots())
async def test_a_bot_goes_on_when_somebody_cannot_be_answered(
    server: ServerGroup, tmp_path: Path, asha: Client, bot: str
) -> None:
    text, number = await of_somebody(server, printed(bot).text)
    found = node()
    if found and found.program != found.node:
        text = text.replace("node examples", f"node {found.program[-1]} examples")
    gone = await sign_up(server.url, "Gone")
    async with Client(server.url, gone.mobile, PASSWORD) as leaving:
        await leaving.send(number, "goodbye")
        await leaving.api.delete_account(PASSWORD)
    await asha.send(number, "hello")
    async with example(server, tmp_path, text) as process:
        await shows(process, "online")
        assert (await asyncio.wait_for(anext(asha.messages()), patient(SECONDS))).text == "hello"


async def send_all(client: Client, to: str, texts: list[str]) -> None:
    for text in texts:
        await client.send(to, text)


@dataclass
class Webhook:
    """A service that is told of messages. It refuses until it is well."""

    key: bytes
    is_well: bool = False
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Each ``webhook-id``, and what was posted with a good signature."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {name.lower(): value for name, value in re.findall(r"^([\w-]+): (.*?)\r$", head, re.MULTILINE)}
        body = await reader.readexactly(int(headers["content-length"]))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(self.key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        self.asked.append((headers["webhook-id"], json.loads(body)))
        answer = json.dumps({"reply": "hello from the service"}).encode() if self.is_well else b"{}"
        status = "200 OK" if self.is_well else "503 Service Unavailable"
        writer.write(
            f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer
        )
        await writer.drain()
        writer.close()


async def test_the_bridge_acknowledges_what_the_webhook_accepted(
    server: ServerGroup, tmp_path: Path, asha: Client
) -> None:
    block = printed("examples/webhook_bridge.py")
    secret = re.search(r"WEBHOOK_SECRET=whsec_(\S+)", block.text)
    assert secret
    webhook = Webhook(base64.b64decode(secret[1]))
    service = await asyncio.start_server(webhook.serve, "127.0.0.1", 0)
    port = service.sockets[0].getsockname()[1]
    text, number = await of_somebody(server, block.text.replace("127.0.0.1:8026", f"127.0.0.1:{port}"))
    ticks = asha.events()
    async with service, example(server, tmp_path, text):
        sent = await asha.send(number, "hello service")
        await until(lambda: len(webhook.asked) >= 2, patient(SECONDS))
        webhook.is_well = True
        reply = await asyncio.wait_for(anext(asha.messages()), patient(SECONDS))
        delivered_after = len(webhook.asked)
        await asyncio.wait_for(delivery(ticks), patient(SECONDS))
    data = {"from": asha.mobile_no, "id": sent.id, "text": "hello service", "timestamp": sent.timestamp}
    assert webhook.asked == [(webhook.asked[0][0], {"type": "message.received", "data": data})] * delivered_after
    assert (reply.peer, reply.text, reply.id) == (number, "hello from the service", f"re-{sent.id}")


async def delivery(ticks: Events) -> None:
    """Until something of one's own was delivered."""
    async for event in ticks:
        if isinstance(event, Tick) and event.state == "delivered":
            return


def test_load_is_bounded() -> None:
    for arguments in (["--people", "1"], ["--rate", "501"], ["--seconds", "121"], ["--url", "http://example.org"]):
        command = [sys.executable, ROOT / "examples" / "load.py", *arguments]
        env = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python" / "src")}
        refused = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert refused.returncode == 2, arguments
        assert "error: " in refused.stderr


@pytest.fixture
async def page() -> AsyncIterator["Page"]:
    """A page of a browser."""
    program = chromium_or_skip()
    from playwright.async_api import async_playwright  # noqa: PLC0415 - installed only where there is a Chromium

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield await browser.new_page()
        await browser.close()


async def test_a_page_of_another_origin(server: ServerGroup, tmp_path: Path, asha: Client, page: "Page") -> None:
    me = await sign_up(server.url, "Ravi")
    happening = asha.events()
    serving = printed("http.server 5500").text.replace("5500", str(ORIGIN_PORT))
    address = re.search(r"<(http://localhost:5500/[^>]+)>", README)
    assert address
    url = address[1].replace("5500", str(ORIGIN_PORT)) + f"?server={server.url}"
    async with example(server, tmp_path, serving):
        await until(lambda: answers(page, url), patient(SECONDS))
        await page.fill("[name=mobileNo]", me.mobile)
        await page.fill("[name=password]", PASSWORD)
        await page.click("text=Log in")
        await page.wait_for_selector("#state:has-text('online')")
        await page.fill("[name=to]", asha.mobile_no)
        await page.fill("[name=text]", "hello from elsewhere")
        await page.click("text=Send")
        message = await asyncio.wait_for(coming(happening), patient(SECONDS))
        assert (message.peer, message.text) == (me.mobile, "hello from elsewhere")
        await page.wait_for_selector(f"li:has-text('1 to {asha.mobile_no}: delivered')")
        await asha.send(me.mobile, "hello back")
        await page.wait_for_selector(f"li:has-text('{asha.mobile_no}: hello back')")


async def coming(happening: Events) -> Message:
    """The next message of somebody, when it is acknowledged."""
    while not isinstance(event := await anext(happening), MessageCame):
        pass
    return event.message


async def answers(page: "Page", url: str) -> bool:
    """Whether the page is served."""
    from playwright.async_api import Error  # noqa: PLC0415 - as above

    try:
        answer = await page.goto(url)
    except Error:
        return False
    return answer is not None and answer.ok


@pytest.mark.parametrize("row", re.findall(r"^\| \[(\S+)\]\(\S+\) \| (\d+) \|", README, re.MULTILINE))
def test_the_lines_are_counted(row: tuple[str, str]) -> None:
    name, lines = row
    assert len((ROOT / "examples" / name).read_text(encoding="utf-8").splitlines()) == int(lines)


def test_the_page_is_a_small_one() -> None:
    assert len((ROOT / "examples" / "other-origin" / "index.html").read_text().splitlines()) <= 40
