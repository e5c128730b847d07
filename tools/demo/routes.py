"""The demo's routes, added to the product's app: the page, the phones in it, the feed and the buttons."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from sanic import Request
from sanic.response import HTTPResponse, json

from handlers.responses import NO_STORE
from handlers.static_files import CSS, HTML, SCRIPT, WEB, serve, static_file
from handlers.web_client import page as product_page
from protocol.errors import ApiError
from server.application import MiniSanic
from tools.demo.faults import Refused, freeze_redis, kill_server
from tools.demo.feed import Feed
from tools.demo.guard import admit
from tools.demo.people import DemoFile, read
from tools.demo.place import Place

STATIC: Final = Path(__file__).with_name("static")
FILES: Final = {
    "demo.css": CSS,
    **dict.fromkeys(
        ["cable.js", "counting.js", "demo.js", "enter.js", "feed.js", "lists.js", "phone.js", "script.js", "wires.js"],
        SCRIPT,
    ),
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MOST_FEEDS: Final = 4
"""Of one server process."""
KEEP_ALIVE_SECONDS: Final = 5.0
_encode: Final = msgspec.json.Encoder().encode
Handler = Callable[..., Coroutine[Any, Any, HTTPResponse | None]]


class Press(msgspec.Struct, tag_field="do"):
    """What a button asks for."""


class Kill(Press, tag="kill", rename="camel"):
    """kill -9 the server process of this serverId."""

    server_id: str


class Freeze(Press, tag="freeze"):
    """Take Redis away for some seconds."""


_decode: Final = msgspec.json.Decoder(Kill | Freeze).decode


def add_demo(app: MiniSanic, place: Place) -> None:
    """Add everything below ``/demo``."""
    demo = Demo(place)
    app.before_server_start(demo.begin)
    app.before_server_stop(demo.end)
    add = partial(app.add_route, error_format="json")
    add(demo.page, "/demo", methods=["GET"], name="demo")
    add(demo.phone, "/demo/phone", methods=["GET"], name="demo_phone")
    add(demo.people, "/demo/people", methods=["GET"], name="demo_people")
    add(demo.feed, "/demo/feed", methods=["GET"], name="demo_feed")
    add(demo.do, "/demo/do", methods=["POST"], name="demo_do")
    add(demo.file, "/demo/<name:str>", methods=["GET"], name="demo_file")


_APP: Final = '<script type="module" src="web/app.js"></script>'
_IN_A_PHONE: Final = '<script src="/demo/cable.js"></script>\n<script type="module" src="/demo/enter.js"></script>'


def phone_page(page: str) -> str:
    """The product's page as it is in a phone: the cable first, then what logs in and loads the page's own script.

    :raises ValueError: the page does not load its script as it did
    """
    if page.count(_APP) != 1:
        raise ValueError(f"web/index.html has no {_APP}")
    return page.replace(_APP, _IN_A_PHONE).replace('="web/', '="/web/')


class Demo:
    """The handlers of one server process."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._files = {name: static_file((STATIC / name).read_bytes(), kind, POLICY) for name, kind in FILES.items()}
        self._page = static_file((STATIC / "demo.html").read_bytes(), HTML, POLICY)
        self._phone = phone_page((WEB / "index.html").read_text(encoding="utf-8")).encode()
        self._feeds = 0

    async def begin(self, _app: MiniSanic) -> None:
        """Before the server accepts anything."""
        self._stopping = asyncio.Event()

    async def end(self, _app: MiniSanic) -> None:
        """Feeds end: they would keep the server from stopping."""
        self._stopping.set()

    async def page(self, request: Request) -> HTTPResponse:
        """``GET /demo``."""
        return serve(request, self._page)

    async def phone(self, request: Request) -> HTTPResponse:
        """``GET /demo/phone``: the product's page under its own policy, but that the demo may show it in a frame."""
        policy = (await product_page(request)).headers["Content-Security-Policy"]
        policy = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        return serve(request, static_file(self._phone, HTML, policy))

    async def file(self, request: Request, name: str) -> HTTPResponse:
        """``GET /demo/<name>``.

        :raises ApiError: ``not_found``
        """
        if name not in self._files:
            raise ApiError("not_found")
        return serve(request, self._files[name])

    async def people(self, request: Request) -> HTTPResponse:
        """``GET /demo/people``: who is on which phone, with their passwords, so that the page can log in for them.

        :raises ApiError: ``forbidden``
        """
        _admit(request, press=True)
        found = self._file()
        people = [
            {"phone": each.phone, "name": each.name, "mobileNo": each.mobile, "password": each.password}
            for each in found.people
        ]
        return json({"success": True, "instance": found.instance, "people": people}, headers=NO_STORE)

    async def feed(self, request: Request) -> None:
        """``GET /demo/feed``: server-sent events until one side ends it. ``Demo-Server`` names the server that sends.

        :raises ApiError: ``forbidden``, ``too_many_requests``
        """
        _admit(request, press=False)
        if self._feeds >= MOST_FEEDS:
            raise ApiError("too_many_requests")
        mobiles = {each.phone: each.mobile for each in self._file().people}
        feed = Feed(request.app.ctx.container.settings.redis_url, self._place, mobiles)
        self._feeds += 1
        try:
            headers = NO_STORE | {"Demo-Server": request.app.ctx.server_id}
            response = await request.respond(content_type="text/event-stream", headers=headers)
            await response.send("retry: 300\n\n")
            await self._pass_on(feed, response)
        finally:
            self._feeds -= 1

    async def _pass_on(self, feed: Feed, response: Any) -> None:
        updates = feed.updates()
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while not stopping.done():
                following = asyncio.ensure_future(anext(updates))
                while not following.done() and not stopping.done():
                    done, _ = await asyncio.wait(
                        {following, stopping}, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    if not done:
                        await response.send(": \n\n")  # a page that is gone is noticed
                if following.done():
                    await response.send(b"data: " + _encode(following.result()) + b"\n\n")
                else:
                    following.cancel()
                    await asyncio.wait({following})
        finally:
            stopping.cancel()
            await updates.aclose()

    async def do(self, request: Request) -> HTTPResponse:
        """``POST /demo/do``: a button.

        :raises ApiError: ``forbidden``, ``bad_request``
        """
        _admit(request, press=True)
        try:
            press = _decode(request.body)
        except msgspec.DecodeError:
            raise ApiError("bad_request") from None
        try:
            if isinstance(press, Kill):
                return json({"success": True, "pid": await kill_server(self._place, press.server_id)})
            await freeze_redis(self._place)
        except Refused as refused:
            return json({"success": False, "message": str(refused)}, status=409)
        return json({"success": True})

    def _file(self) -> DemoFile:
        return read(self._place.directory)


def _admit(request: Request, *, press: bool) -> None:
    admit(request.headers, request.conn_info.client_ip if request.conn_info else "", press=press)
