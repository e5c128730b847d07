"""Visitors: each comes, sends what it should not, hears the answer, and goes without manners; again and again."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Final

from tests.server.support import CLOSE, PING, PONG, TEXT, RawClient, frame
from tools.chaos.fuzz.mutations import Mutator
from tools.chaos.fuzz.tally import Tally

VISITORS: Final = 12
PAUSE_SECONDS: Final = 0.2
LISTEN_SECONDS: Final = 0.4
SILENT_SECONDS: Final = 4.0
"""For so long a visitor that vanishes leaves its socket open: more than two pings."""
GONE: Final = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


async def come(port: int, token: str, v1: bool) -> RawClient:
    """A socket as it should be.

    :raises OSError: nobody was let in
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


def over(client: RawClient) -> bool:
    """Whether the other side has ended it, and all it said was heard."""
    return client.writer.transport.is_closing() or client.reader.at_eof()


class Visitor:
    """One of them, on one connection at a time.

    :param ports: of the server groups
    :param tokens: of people it may come as
    :param guests: of people nobody writes to: what is said to them at the door is HTTP's
    """

    def __init__(
        self, mutator: Mutator, tally: Tally, ports: Sequence[int], tokens: Sequence[str], guests: Sequence[str]
    ) -> None:
        self.mutator = mutator
        self._tally, self._ports, self._tokens, self._guests = tally, ports, tokens, guests

    @property
    def _rng(self) -> random.Random:
        return self.mutator.rng

    async def live(self) -> None:
        """Visit after visit, until cancelled."""
        while True:
            kind = self._rng.choice((self._door, self._frames, self._messages, self._messages))
            with contextlib.suppress(*GONE):  # being thrown out is what visitors expect
                await kind()
            await asyncio.sleep(self._rng.uniform(0, PAUSE_SECONDS))

    # ---- the three kinds

    async def _door(self) -> None:
        rng, token = self._rng, self._rng.choice(self._guests)
        make = rng.choice((self.mutator.head, self.mutator.head, self.mutator.request))
        said = b"".join(make(token) for _ in range(rng.choice((1, 1, 1, 2, 5))))
        if rng.random() < 0.1:
            said = rng.randbytes(rng.randint(1, 500))
        elif rng.random() < 0.2:
            said = said[: rng.randint(0, len(said))]
        reader, writer = await asyncio.open_connection("127.0.0.1", rng.choice(self._ports))
        heard = asyncio.ensure_future(self._drink(reader))
        try:
            self._tally.sent["connections at the door"] += 1
            for piece in self._pieces(said):
                if writer.is_closing() or reader.at_eof():
                    break
                writer.write(piece)
                await asyncio.sleep(rng.uniform(0, 0.01))
            await asyncio.sleep(rng.uniform(0, LISTEN_SECONDS))
        finally:
            self._leave(writer)
            self._tally.http(await heard)

    async def _drink(self, reader: asyncio.StreamReader) -> bytes:
        answer = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                answer += data
        return answer

    async def _frames(self) -> None:
        """WebSocket, spoiled below its messages."""
        async with contextlib.AsyncExitStack() as stay:
            client = await self._enter(stay)
            for _ in range(self._rng.randint(1, 6)):
                if over(client):
                    break
                if self._rng.random() < 0.5:
                    client.send(TEXT, self.mutator.message()[:65_536])
                client.writer.write(self.mutator.socket_bytes())
                self._tally.sent["WebSocket frames"] += 1
                await asyncio.sleep(self._rng.uniform(0, 0.02))

    async def _messages(self) -> None:
        """WebSocket as it should be, with messages that are not."""
        async with contextlib.AsyncExitStack() as stay:
            client = await self._enter(stay)
            for _ in range(self._rng.randint(5, 40)):
                if over(client):
                    break
                client.send(TEXT, self.mutator.message())
                self._tally.sent["messages"] += 1
                await asyncio.sleep(self._rng.uniform(0, 0.02))

    # ----

    async def _enter(self, stay: contextlib.AsyncExitStack) -> RawClient:
        """A socket; at the end of the visit what is said on it has been heard, and it is left in one way or another."""
        rng = self._rng
        client = await come(rng.choice(self._ports), rng.choice(self._tokens), v1=rng.random() < 0.5)
        self._tally.sent["sockets"] += 1
        hearing = asyncio.ensure_future(self._hear(client))

        async def leave() -> None:
            await asyncio.wait([hearing], timeout=rng.uniform(0, LISTEN_SECONDS))
            if rng.random() < 0.03:
                await asyncio.wait([hearing], timeout=SILENT_SECONDS)
            self._leave(client.writer)
            if not hearing.done() and rng.random() < 0.5:
                await asyncio.wait([hearing], timeout=0.05)
            hearing.cancel()
            client.vanish()
            await asyncio.wait([hearing])
            if not hearing.cancelled():
                hearing.result()

        stay.push_async_callback(leave)
        return client

    async def _hear(self, client: RawClient) -> None:
        answers_pings = self._rng.random() < 0.7
        with contextlib.suppress(*GONE):
            while True:
                opcode, payload = await client.receive()
                if opcode == CLOSE:
                    self._tally.close(payload)
                elif opcode == PING and answers_pings:
                    client.writer.write(frame(PONG, payload))
                elif opcode == TEXT:
                    self._tally.message(payload)

    def _leave(self, writer: asyncio.StreamWriter) -> None:
        """With FIN, or with RST."""
        if self._rng.random() < 0.5 and not writer.is_closing():
            writer.close()
        else:
            writer.transport.abort()

    def _pieces(self, data: bytes) -> list[bytes]:
        if self._rng.random() < 0.5:
            return [data]
        cuts = sorted(self._rng.randint(0, len(data)) for _ in range(self._rng.randint(1, 8)))
        return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
