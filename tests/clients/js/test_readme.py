"""The examples of the client's README run as they are printed, with numbers and the address of a running product."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.js.support import node_or_skip
from tests.support.browser import FLAGS, chromium_or_skip, playwright
from tests.support.people import PASSWORD, Frame, Person, Talk, sign_up
from tests.support.stack import ServerGroup
from tools.devstack.javascript import CLIENT

README = (CLIENT / "README.md").read_text(encoding="utf-8")
FIRST, SECOND = "919800000001", "919800000002"


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def filled(code: str, url: str, first: Person, second: Person) -> str:
    values = {"http://127.0.0.1:5000": url, FIRST: first.mobile, SECOND: second.mobile}
    assert PASSWORD in code
    for written, value in values.items():
        code = code.replace(written, value)
    return code


async def chat(talk: Talk, text: str) -> Frame:
    return await talk.wait(lambda frame: frame["type"] == "chat" and frame["message"] == text, 20)


@contextmanager
def running(code: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """In a folder where the package is installed."""
    modules = folder / "node_modules"
    modules.mkdir()
    (modules / "whatsapp-mini-client").symlink_to(CLIENT)
    (folder / "example.mjs").write_text(code, encoding="utf-8")
    command = [*node_or_skip().program, "example.mjs"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_there_are_as_many_as_are_tested() -> None:
    assert (len(examples("js")), len(examples("html"))) == (3, 1)


async def test_five_lines_send_a_message(product: ServerGroup, tmp_path: Path) -> None:
    first, second = [await sign_up(product.url, name) for name in ("Asha", "Bela")]
    talk = await second.open(product.ws_url)
    with running(filled(examples("js")[0], product.url, first, second), tmp_path) as process:
        assert (await chat(talk, "hello"))["from"] == first.mobile
        assert await asyncio.to_thread(process.wait, 20) == 0


@pytest.mark.parametrize("number", [1, 2])
async def test_bots_echo(product: ServerGroup, tmp_path: Path, number: int) -> None:
    first, second = [await sign_up(product.url, name) for name in ("Asha", "Bela")]
    talk = await first.open(product.ws_url)
    with running(filled(examples("js")[number], product.url, first, second), tmp_path) as process:
        for text in ("one", "two"):
            await talk.send(type="chat", to=second.mobile, messageId=text, message=text)
            assert (await chat(talk, text))["from"] == second.mobile
        if number == 2:
            await talk.send(type="chat", to=second.mobile, messageId="stop", message="stop")
            assert await asyncio.to_thread(process.wait, 20) == 0


async def test_a_page_sends_and_receives(product: ServerGroup) -> None:
    path = chromium_or_skip()
    first, second = [await sign_up(product.url, name) for name in ("Asha", "Bela")]
    talk = await second.open(product.ws_url)
    (html,) = examples("html")
    script = filled(html.partition(">")[2].rpartition("</script>")[0], product.url, first, second)
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=FLAGS)
        page = await browser.new_page()
        await page.goto(f"{product.url}/health")
        async with page.expect_console_message(lambda said: second.mobile in said.text) as said:
            await page.add_script_tag(type="module", content=script)
            assert (await chat(talk, "hello"))["from"] == first.mobile
            await talk.send(type="chat", to=first.mobile, messageId="m1", message="hi")
            assert (await said.value).text == f"{second.mobile} hi"
        await browser.close()
