"""A WebSocket client below any library: it sends any bytes, and does nothing by itself."""

import asyncio
import contextlib
import json
import struct
from collections.abc import Sequence
from typing import Final

TEXT: Final = 1
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
QUIET_SECONDS: Final = 1.0
"""When nothing arrives for so long, nothing more waits."""
SOCKET_ERRORS: Final = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
"""What the end of a socket raises."""


class RawClient:
    """An upgraded socket. It sends no pong and no close frame unless it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def is_over(self) -> bool:
        """Whether the server has ended the socket, and everything was read."""
        return self.writer.transport.is_closing() or self.reader.at_eof()

    def send(self, opcode: int, payload: bytes) -> None:
        """Send one frame, masked with zeros."""
        size = len(payload)
        if size < 126:
            head = bytes([opcode | 0x80, 0x80 | size])
        elif size < 2**16:
            head = bytes([opcode | 0x80, 0x80 | 126]) + struct.pack("!H", size)
        else:
            head = bytes([opcode | 0x80, 0x80 | 127]) + struct.pack("!Q", size)
        self.writer.write(head + b"\0\0\0\0" + payload)

    async def receive(self) -> tuple[int, bytes]:
        """The opcode and the payload of the next frame.

        :raises asyncio.IncompleteReadError: the socket ended
        """
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(length)

    def abort(self) -> None:
        """End the socket without a close frame."""
        self.writer.transport.abort()


async def connect(port: int, token: str, v1: bool) -> RawClient:
    """Upgrade a socket in the regular way.

    :raises OSError: it was refused
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET /?token={token} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    lines += ["Sec-WebSocket-Protocol: wm.v1"] if v1 else []
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in head:
        writer.transport.abort()
        raise ConnectionRefusedError(head.partition(b"\r\n")[0].decode())
    return RawClient(reader, writer)


async def acknowledge_all(port: int, tokens: Sequence[str]) -> None:
    """Acknowledge every entry that waits for these people: what is left afterwards belongs to the servers."""
    clients = [await connect(port, token, v1=True) for token in tokens]
    latest = [asyncio.get_running_loop().time()]
    tasks = [asyncio.ensure_future(_acknowledge(client, latest)) for client in clients]
    while asyncio.get_running_loop().time() - latest[0] < QUIET_SECONDS:
        await asyncio.sleep(0.1)
    for task, client in zip(tasks, clients, strict=True):
        task.cancel()
        client.abort()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _acknowledge(client: RawClient, latest: list[float]) -> None:
    with contextlib.suppress(*SOCKET_ERRORS):
        while True:
            opcode, payload = await client.receive()
            if opcode == PING:
                client.send(PONG, payload)
            elif opcode == TEXT:
                message = json.loads(payload)
                frames = message if isinstance(message, list) else [message]
                ids = [frame["streamId"] for frame in frames if "streamId" in frame]
                if ids:
                    latest[0] = asyncio.get_running_loop().time()
                    ack = {"type": "ack", "ackType": "delivered", "streamIds": ids}
                    client.send(TEXT, json.dumps(ack).encode())
