"""A proxy that puts a server under a path, as nginx does with ``location /chat/ { proxy_pass http://app/; }``."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class PrefixProxy:
    """Passes on what is below the prefix; the rest of the host is somebody else's."""

    prefix: str
    upstream_port: int
    port: int = 0
    outside: list[str] = field(default_factory=list)
    """Paths that were asked for and are not below the prefix."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._pass_on(reader, writer)
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, rest = head.split(b" ", 2)
        if not path.startswith(self.prefix.encode()):
            self.outside.append(path.decode())
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        if b"upgrade: websocket" not in head.lower():
            # One request a connection: then only the first head has to be read.
            rest = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"\r\nConnection: close", rest)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        up_writer.write(b" ".join((method, b"/" + path[len(self.prefix) :], rest)))
        try:
            await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))
        finally:
            up_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def prefix_proxy(prefix: str, upstream_port: int) -> AsyncIterator[PrefixProxy]:
    """One that runs."""
    proxy = PrefixProxy(prefix, upstream_port)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
