"""The scripted client of faults waits for a server that restarts."""

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tools.chaos import scripted_client
from tools.chaos.scripted_client import ScriptedUser
from tools.devstack.probe import free_port


async def greet(socket: ServerConnection) -> None:
    await socket.send(json.dumps({"type": "hello"}))
    await socket.wait_closed()


async def test_it_tries_again_while_nothing_listens() -> None:
    port = free_port()
    connecting = asyncio.create_task(ScriptedUser("1", "x").connect(f"ws://127.0.0.1:{port}"))
    await asyncio.sleep(0.3)
    assert not connecting.done()
    async with serve(greet, "127.0.0.1", port, subprotocols=["wm.v1"]):  # type: ignore[list-item] # a NewType of str
        talk = await connecting
        await talk.close()


async def test_it_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripted_client, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(ConnectionError):
        await ScriptedUser("1", "x").connect(f"ws://127.0.0.1:{free_port()}")
