"""A proxy before a server whose page changes: with one file, and so its service worker, of another version."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from tests.support.people import NO_TLS
from tests.support.prefix_proxy import PrefixProxy

CHANGED = "web/settings-about.js"


@dataclass
class ChangingPage(PrefixProxy):
    """``file_version`` and ``worker_version`` differ while some servers are updated and others are not."""

    file_version: int = 1
    worker_version: int = 1
    framed: bool = False
    """Whether it shows the page in a frame, at ``/frame``, and lets it be shown there."""

    def update(self) -> None:
        """To version 2, all of it."""
        self.file_version = self.worker_version = 2

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readuntil(b"\r\n")
        path = line.split(b" ", 2)[1].decode().removeprefix(self.prefix)
        if path in (CHANGED, "web/sw.js") or (self.framed and path in ("", "frame")):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(await self._answer(path))
            return
        rest = asyncio.StreamReader()
        rest.feed_data(line)
        await asyncio.gather(super()._pass_on(rest, writer), _feed(reader, rest))

    async def _answer(self, path: str) -> bytes:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.upstream_port}", verify=NO_TLS) as client:
            plain = {"Accept-Encoding": "identity"}
            file = (await client.get(CHANGED, headers=plain)).content
            worker = await client.get("web/sw.js", headers=plain)
            page = await client.get("", headers=plain)
        policy = page.headers["Content-Security-Policy"]
        if path == "frame":
            return _response(b'<iframe src="./"></iframe>', {"Content-Type": "text/html"})
        if path == "":
            framed = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
            return _response(page.content, {"Content-Type": "text/html", "Content-Security-Policy": framed})
        changed = file + b"\n// version 2\n"
        if path == CHANGED:
            return _response(changed if self.file_version == 2 else file, {"Content-Type": "text/javascript"})
        text = worker.text
        if self.worker_version == 2:
            text = text.replace(hashlib.sha256(file).hexdigest(), hashlib.sha256(changed).hexdigest())
            text = re.sub(r'const VERSION = "[^"]+"', 'const VERSION = "two"', text)
        kept = ("Content-Type", "Content-Security-Policy", "Service-Worker-Allowed")
        return _response(text.encode(), {name: worker.headers[name] for name in kept})


def _response(body: bytes, headers: dict[str, str]) -> bytes:
    sent = headers | {"Content-Length": str(len(body)), "Cache-Control": "no-cache", "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body


async def _feed(reader: asyncio.StreamReader, rest: asyncio.StreamReader) -> None:
    while data := await reader.read(65_536):
        rest.feed_data(data)
    rest.feed_eof()


@asynccontextmanager
async def changing_page(upstream_port: int) -> AsyncIterator[ChangingPage]:
    """One that runs."""
    proxy = ChangingPage("/", upstream_port)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
