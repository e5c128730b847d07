"""A visitor connects, sends what no client should, reads the answers, and leaves in some bad way; again and again."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Final

from tools.chaos.fuzz.mutations import Mutator
from tools.chaos.fuzz.raw_client import CLOSE, PING, PONG, SOCKET_ERRORS, TEXT, RawClient, connect
from tools.chaos.fuzz.tally import Tally

VISITORS: Final = 12
PAUSE_SECONDS: Final = 0.2
LISTEN_SECONDS: Final = 0.4
SILENT_SECONDS: Final = 4.0
"""For so long a visitor that vanishes leaves its socket open: longer than two pings."""


class Visitor:
    """It has one connection at a time.

    :param ports: of the server groups
    :param tokens: of people that it may connect as
    :param guest_tokens: of people nobody writes to: they are used only in HTTP requests
    """

    def __init__(
        self, mutator: Mutator, tally: Tally, ports: Sequence[int], tokens: Sequence[str], guest_tokens: Sequence[str]
    ) -> None:
        self.mutator = mutator
        self._tally, self._ports, self._tokens, self._guest_tokens = tally, ports, tokens, guest_tokens

    @property
    def _rng(self) -> random.Random:
        return self.mutator.rng

    async def run_forever(self) -> None:
        """Visit after visit, until cancelled."""
        while True:
            visit = self._rng.choice((self._send_requests, self._send_frames, self._send_messages, self._send_messages))
            with contextlib.suppress(*SOCKET_ERRORS):  # the server is expected to end these connections
                await visit()
            await asyncio.sleep(self._rng.uniform(0, PAUSE_SECONDS))

    # ---- the three kinds of visits

    async def _send_requests(self) -> None:
        """HTTP requests and upgrades, changed at random."""
        rng, token = self._rng, self._rng.choice(self._guest_tokens)
        make = rng.choice((self.mutator.head, self.mutator.head, self.mutator.request))
        data = b"".join(make(token) for _ in range(rng.choice((1, 1, 1, 2, 5))))
        if rng.random() < 0.1:
            data = rng.randbytes(rng.randint(1, 500))
        elif rng.random() < 0.2:
            data = data[: rng.randint(0, len(data))]
        reader, writer = await asyncio.open_connection("127.0.0.1", rng.choice(self._ports))
        answer = asyncio.ensure_future(self._read_all(reader))
        try:
            self._tally.sent["HTTP connections"] += 1
            for piece in self._pieces(data):
                if writer.is_closing() or reader.at_eof():
                    break
                writer.write(piece)
                await asyncio.sleep(rng.uniform(0, 0.01))
            await asyncio.sleep(rng.uniform(0, LISTEN_SECONDS))
        finally:
            self._leave(writer)
            self._tally.http(await answer)

    async def _read_all(self, reader: asyncio.StreamReader) -> bytes:
        answer = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                answer += data
        return answer

    async def _send_frames(self) -> None:
        """WebSocket frames that are wrong themselves, whatever message they hold."""
        async with contextlib.AsyncExitStack() as stack:
            client = await self._connect(stack)
            for _ in range(self._rng.randint(1, 6)):
                if client.is_over:
                    break
                if self._rng.random() < 0.5:
                    client.send(TEXT, self.mutator.message()[:65_536])
                client.writer.write(self.mutator.socket_bytes())
                self._tally.sent["WebSocket frames"] += 1
                await asyncio.sleep(self._rng.uniform(0, 0.02))

    async def _send_messages(self) -> None:
        """Wrong messages in regular WebSocket frames."""
        async with contextlib.AsyncExitStack() as stack:
            client = await self._connect(stack)
            for _ in range(self._rng.randint(5, 40)):
                if client.is_over:
                    break
                client.send(TEXT, self.mutator.message())
                self._tally.sent["messages"] += 1
                await asyncio.sleep(self._rng.uniform(0, 0.02))

    # ----

    async def _connect(self, stack: contextlib.AsyncExitStack) -> RawClient:
        """Upgrade a socket. When ``stack`` closes, its answers have been read and it is left in some way."""
        rng = self._rng
        client = await connect(rng.choice(self._ports), rng.choice(self._tokens), v1=rng.random() < 0.5)
        self._tally.sent["sockets"] += 1
        reading = asyncio.ensure_future(self._read(client))

        async def leave() -> None:
            await asyncio.wait([reading], timeout=rng.uniform(0, LISTEN_SECONDS))
            if rng.random() < 0.03:
                await asyncio.wait([reading], timeout=SILENT_SECONDS)
            self._leave(client.writer)
            if not reading.done() and rng.random() < 0.5:
                await asyncio.wait([reading], timeout=0.05)
            reading.cancel()
            client.abort()
            await asyncio.wait([reading])
            if not reading.cancelled():
                reading.result()

        stack.push_async_callback(leave)
        return client

    async def _read(self, client: RawClient) -> None:
        answers_pings = self._rng.random() < 0.7
        with contextlib.suppress(*SOCKET_ERRORS):
            while True:
                opcode, payload = await client.receive()
                if opcode == CLOSE:
                    self._tally.close(payload)
                elif opcode == PING and answers_pings:
                    client.send(PONG, payload)
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
