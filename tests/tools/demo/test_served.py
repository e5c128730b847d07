"""The demo as a whole, over HTTP: what it serves, what its buttons do, whom it refuses; and the product without it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.support.demo import people_of, running_demo
from tests.support.launched import Launched
from tests.support.people import NO_TLS, Person
from tests.support.stack import ROOT, ServerGroup

PRESS = {"X-Demo": "1"}
Update = dict[str, Any]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """Running, with Asha and Ravi signed up."""
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture
async def client(demo: Launched) -> AsyncIterator[httpx.AsyncClient]:
    """As the page asks."""
    url = demo.run()["url"]
    async with httpx.AsyncClient(base_url=url, headers={"Origin": url}, verify=NO_TLS, timeout=20) as made:
        yield made


async def log_in(client: httpx.AsyncClient, demo: Launched, phone: str) -> Person:
    person = next(each for each in people_of(demo) if each["phone"] == phone)
    body = {"mobileNo": person["mobile"], "password": person["password"], "deviceId": f"test-{phone}"}
    answer = (await client.post("/auth/login", json=body)).raise_for_status()
    return Person(person["mobile"], answer.json()["token"], person["name"])


class Watched:
    """What one feed has told so far."""

    def __init__(self, lines: AsyncIterator[str], server_id: str) -> None:
        self._lines = lines
        self.server_id = server_id
        self.seen: Update = {}
        self.news: list[Update] = []

    async def until(self, done: Callable[["Watched"], bool]) -> None:
        async with asyncio.timeout(20):
            while not done(self):
                line = await anext(self._lines)
                if line.startswith("data: "):
                    update = json.loads(line.removeprefix("data: "))
                    self.seen = update["seen"] or self.seen
                    self.news += update["news"]

    def told(self, what: str, **more: str) -> bool:
        return any(each["what"] == what and more.items() <= each.items() for each in self.news)


@asynccontextmanager
async def feed(client: httpx.AsyncClient) -> AsyncIterator[Watched]:
    async with client.stream("GET", "/demo/feed") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        yield Watched(answer.aiter_lines(), answer.headers["demo-server"])


def ids(watched: Watched) -> set[str]:
    """The servers that live, as far as it has told."""
    return {each["serverId"] for each in watched.seen.get("servers", [])}


async def test_the_product_has_no_demo(product: ServerGroup) -> None:
    async with httpx.AsyncClient(base_url=product.url, verify=NO_TLS) as client:
        for path in ("/demo", "/demo/phone", "/demo/people", "/demo/feed", "/demo/demo.js"):
            assert (await client.get(path, headers=PRESS)).status_code == 404, path
        assert (await client.post("/demo/do", headers=PRESS, json={"do": "freeze"})).status_code == 404
        assert "frame-ancestors 'none'" in (await client.get("/")).headers["content-security-policy"]


def test_the_product_does_not_import_it(env: dict[str, str]) -> None:
    code = "import app, sys; sys.exit(any(name.split('.')[0] == 'tools' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=False).returncode == 0


def test_without_its_launcher_it_does_not_start(env: dict[str, str]) -> None:
    command = [sys.executable, "-c", "import tools.demo.served"]
    done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)
    assert "python3 run.py demo" in done.stderr
    assert done.returncode == 1


async def test_the_page_and_its_files_come_under_a_strict_policy(client: httpx.AsyncClient) -> None:
    page = await client.get("/demo")
    assert page.status_code == 200
    for path in ("/demo/demo.css", "/demo/demo.js", "/demo/cable.js"):
        assert path.encode() in page.content or path == "/demo/cable.js"
        policy = (await client.get(path)).headers["content-security-policy"]
        assert policy == page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (await client.get("/demo/routes.py")).status_code == 404


async def test_a_phone_is_the_products_page_with_a_cable(client: httpx.AsyncClient) -> None:
    page, phone = await client.get("/"), await client.get("/demo/phone?profile=a")
    text = phone.text
    assert text.index("/demo/cable.js") < text.index("/demo/enter.js")
    own = page.headers["content-security-policy"]
    assert phone.headers["content-security-policy"] == own.replace("ancestors 'none'", "ancestors 'self'")
    assert "frame-ancestors 'none'" in own


async def test_another_site_can_neither_press_a_button_nor_look(demo: Launched, client: httpx.AsyncClient) -> None:
    strangers: list[dict[str, str]] = [
        {},
        {**PRESS, "Origin": "http://evil.example"},
        {**PRESS, "Host": "evil.example", "Origin": "http://evil.example"},
        {**PRESS, "Sec-Fetch-Site": "cross-site"},
    ]
    kill = {"do": "kill", "serverId": demo.run()["servers"][0]["serverId"]}
    for headers in strangers:
        assert (await client.post("/demo/do", headers=headers, json=kill)).status_code == 403, headers
        assert (await client.get("/demo/people", headers=headers)).status_code == 403, headers
        if headers:
            assert (await client.get("/demo/feed", headers=headers)).status_code == 403, headers
    assert kill["serverId"] in {each["serverId"] for each in demo.run()["servers"]}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"do":"kill"}', b'{"do":"kill","serverId":7}', b'{"do":"more"}'])
async def test_a_press_that_makes_no_sense_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.post("/demo/do", headers=PRESS, content=body)).status_code == 400


async def test_a_server_that_is_not_the_demos_is_not_killed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/demo/do", headers=PRESS, json={"do": "kill", "serverId": "somebody.else"})
    assert answer.status_code == 409
    assert "No living server" in answer.json()["message"]


async def test_the_feed_tells_what_happens_to_a_chat(demo: Launched, client: httpx.AsyncClient) -> None:
    asha, ravi = await log_in(client, demo, "a"), await log_in(client, demo, "b")
    ws_url = demo.run()["url"].replace("http", "ws", 1)
    async with feed(client) as watched:
        await watched.until(lambda now: bool(now.seen))
        assert len(watched.seen["servers"]) == 3
        talk = await asha.open(ws_url)
        await watched.until(lambda now: now.told("leased", whose="a"))
        await talk.chat(ravi, "m1", "hello")
        await watched.until(lambda now: bool(now.seen["mailboxes"]["b"]["entries"]))
        [entry] = watched.seen["mailboxes"]["b"]["entries"]
        assert (entry["kind"], entry["text"], entry["messageIds"]) == ("chat", "hello", ["m1"])
        other = await ravi.open(ws_url)
        await watched.until(lambda now: now.told("settled", whose="b"))
        assert watched.told("stored", whose="b")
        await talk.socket.close()
        await other.socket.close()


async def test_others_are_not_told_of(demo: Launched, client: httpx.AsyncClient) -> None:
    body = {"name": "Meera", "mobileNo": "919800000009", "password": "correct horse"}
    (await client.post("/auth/signin", json=body)).raise_for_status()
    login = {"mobileNo": body["mobileNo"], "password": body["password"]}
    token = (await client.post("/auth/login", json=login)).raise_for_status().json()["token"]
    async with feed(client) as watched:
        await watched.until(lambda now: bool(now.seen))
        talk = await Person(body["mobileNo"], token, "Meera").open(demo.run()["url"].replace("http", "ws", 1))
        ravi = next(each for each in people_of(demo) if each["phone"] == "b")
        await talk.chat(Person(ravi["mobile"], "", "Ravi"), "from-meera", "hello")
        await watched.until(lambda now: now.told("stored", whose="b"))
        assert set(watched.seen["mailboxes"]) == {"a", "b"}
        assert not watched.told("leased")
        await talk.socket.close()


async def test_a_killed_server_is_replaced_and_the_feed_says_so(demo: Launched, client: httpx.AsyncClient) -> None:
    async with feed(client) as watched:
        await watched.until(lambda now: bool(now.seen))
        victim = next(each for each in ids(watched) if each != watched.server_id)
        pressed = {"do": "kill", "serverId": victim}
        (await client.post("/demo/do", headers=PRESS, json=pressed)).raise_for_status()
        await watched.until(lambda now: now.told("went", serverId=victim))
        await watched.until(lambda now: now.told("came"))
        assert len(watched.seen["servers"]) == 3
        assert victim not in ids(watched)


async def test_the_feed_of_a_killed_server_ends_and_another_one_goes_on(client: httpx.AsyncClient) -> None:
    async with feed(client) as watched:
        await watched.until(lambda now: bool(now.seen))
        victim = watched.server_id
        pressed = {"do": "kill", "serverId": victim}
        (await client.post("/demo/do", headers=PRESS, json=pressed)).raise_for_status()
        with pytest.raises((httpx.HTTPError, StopAsyncIteration)):
            await watched.until(lambda _now: False)
    async with feed(client) as again:
        await again.until(lambda now: len(ids(now)) == 3 and victim not in ids(now))


async def test_redis_is_away_and_comes_back(client: httpx.AsyncClient) -> None:
    async with feed(client) as watched:
        await watched.until(lambda now: bool(now.seen))
        (await client.post("/demo/do", headers=PRESS, json={"do": "freeze"})).raise_for_status()
        again = await client.post("/demo/do", headers=PRESS, json={"do": "freeze"})
        assert (again.status_code, again.json()["message"]) == (409, "Redis is away already.")
        await watched.until(lambda now: now.told("away"))
        assert watched.seen["redis"] is False
        await watched.until(lambda now: now.told("back"))
        assert len(watched.seen["servers"]) == 3
