"""An event loop that can stop accepting while its connections live on.

Sanic keeps the listening server to itself until the stop listeners have run, so a draining worker would go on taking
connections away from its healthy neighbours on the shared socket.
"""

import asyncio
from typing import Any

import uvloop


class ServerLoop(uvloop.Loop):
    """uvloop, remembering what it listens with."""

    def __init__(self) -> None:
        super().__init__()
        self.servers: list[asyncio.AbstractServer] = []

    async def create_server(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> asyncio.AbstractServer:
        """As uvloop's."""
        server = await super().create_server(*args, **kwargs)
        self.servers.append(server)
        return server


class ServerLoopPolicy(uvloop.EventLoopPolicy):  # type: ignore[misc]
    """Makes such loops."""

    def _loop_factory(self) -> ServerLoop:
        return ServerLoop()


def stop_accepting() -> None:
    """Close the listening sockets of the running loop. Other processes on the same port are not touched.

    A no-op on a foreign loop, as in tests.
    """
    loop = asyncio.get_running_loop()
    if isinstance(loop, ServerLoop):
        for server in loop.servers:
            server.close()
