"""The least that a server can do: a client's rate against it is the client's own ceiling.

A process that passes chats on and answers receipts from memory. It stores nothing, checks nothing, forgets everything.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from tools.bench.client import Client, open_connection
from tools.bench.cpu import Processes
from tools.bench.environment import TEXT, Account, Recorder
from tools.devstack.options import ROOT
from tools.devstack.probe import free_port, port_is_free
from tools.devstack.process import Child

READY_SECONDS: Final = 20.0
_CHAT: Final = '{"type":"chat","from":"%s","to":"%s","messageId":"%s","message":"' + TEXT + '","streamId":"%s %s"}'
_SENT: Final = '{"type":"sent","messageId":"%s"}'
_RECEIPT: Final = '{"type":"ack","ackType":"delivered","messageIds":["%s"],"streamId":""}'


class _In(msgspec.Struct, gc=False, rename="camel"):
    type: str
    to: str = ""
    message_id: str = ""
    stream_ids: list[str] = []


_ONE: Final = msgspec.json.Decoder(_In)
_MANY: Final = msgspec.json.Decoder(list[_In])


class RelayConnection(WSListener):
    """One connection. A chat's ``streamId`` names its sender and itself, so the receipt needs nothing else."""

    def __init__(self, name: str, connections: "dict[str, RelayConnection]") -> None:
        super().__init__()
        self._name, self._connections = name, connections
        self._frames: list[str] = []
        self._transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The relay has no backlog."""
        self._transport, self._connections[self._name] = transport, self
        self.send('{"type":"synced","count":0}')

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """Forward chats, and answer acks with receipts."""
        if frame.msg_type != WSMsgType.TEXT:
            return
        data = frame.get_payload_as_memoryview()
        for message in _MANY.decode(data) if data[0] == 0x5B else (_ONE.decode(data),):
            if message.type == "chat":
                self.send(_SENT % message.message_id)
                self._connections[message.to].send(
                    _CHAT % (self._name, message.to, message.message_id, self._name, message.message_id)
                )
            else:
                for sender, message_id in (each.split(" ") for each in message.stream_ids if each):
                    self._connections[sender].send(_RECEIPT % message_id)

    def send(self, frame: str) -> None:
        """Send at the end of this loop tick."""
        if not self._frames:
            asyncio.get_running_loop().call_soon(self._flush)
        self._frames.append(frame)

    def _flush(self) -> None:
        frames, self._frames = self._frames, []
        if not self._transport.is_disconnected:
            self._transport.send(WSMsgType.TEXT, ("[" + ",".join(frames) + "]").encode())


async def serve(port: int) -> None:
    """Serve until killed."""
    connections: dict[str, RelayConnection] = {}

    def listen(request: WSUpgradeRequest) -> WSListener:
        return RelayConnection(request.path.rpartition(b"=")[2].decode(), connections)

    server = await ws_create_server(listen, "127.0.0.1", port)
    await server.serve_forever()


class Relay:
    """The relay as an environment."""

    name = "relay"
    watched_redis = None

    def __init__(self) -> None:
        port = free_port()
        self._url = f"ws://127.0.0.1:{port}"
        log = Path(tempfile.gettempdir()) / f"wm-bench-relay-{port}.log"
        self._child = Child("relay", [sys.executable, "-m", "tools.bench.relay", str(port)], log=log, cwd=ROOT)
        self._child.await_ready(lambda: not port_is_free("127.0.0.1", port), READY_SECONDS)

    async def prepare(self) -> None:
        """Nothing to set."""

    async def accounts(self, count: int) -> Sequence[Account]:
        """Numbers: the relay checks nothing."""
        return [Account(str(number), str(number)) for number in range(count)]

    async def connect(self, account: Account, recorder: Recorder) -> Client:
        """As to the product."""
        return await open_connection(self._url, account, recorder)

    def processes(self) -> Processes:
        """The one process."""
        return {"server": [self._child.pid]}

    async def facts(self) -> dict[str, str]:
        """None."""
        return {}

    async def close(self) -> None:
        """Stop it."""
        self._child.kill()
        self._child.log.unlink()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
