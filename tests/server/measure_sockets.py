"""What a socket costs: memory while idle, processor time per echo. Run: ``python -m tests.server.measure_sockets``.

The server is a process of its own, on the product's loop and protocol class, with a listener that only echoes.
"""

import asyncio
import gc
import multiprocessing
import resource
from multiprocessing.connection import Connection
from typing import Any

import psutil

from server.loop import ServerLoop
from tests.server.support import TEXT, RawClient, frame, serving

IDLE = 2_000
ECHOING = 50
ROUNDS = 400
PIPELINED = 4
PAYLOAD = b'{"type":"chat","message":"' + b"x" * 222 + b'"}'  # 250 bytes


class Echo:
    """As little of a listener as there can be."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.is_full = False

    def handle_message(self, data: str | bytes) -> float:
        self.socket.send(data.encode() if isinstance(data, str) else data)
        return 0.0

    def handle_batch_end(self) -> None:
        return

    def handle_sign_of_life(self) -> None:
        return

    def handle_pong(self, _mark: int) -> None:
        return

    def handle_violation(self) -> None:
        pass

    def handle_lost(self, _code: int, _reason: str) -> None:
        return


def _attach(socket: Any) -> None:
    socket.attach(Echo(socket))


async def _serve(pipe: Connection) -> None:
    async with serving(_attach, ping_seconds=1000, lease_seconds=3000) as local:
        pipe.send(local.port)
        while True:
            await asyncio.sleep(0.1)
            if pipe.poll():
                if pipe.recv() == "stop":
                    return
                gc.collect()
                pipe.send("collected")


def _child(pipe: Connection) -> None:
    with asyncio.Runner(loop_factory=ServerLoop) as runner:
        runner.run(_serve(pipe))


def _rss(process: psutil.Process, pipe: Connection) -> int:
    pipe.send("collect")
    pipe.recv()
    return int(process.memory_info().rss)


async def _echo(client: RawClient) -> None:
    answer_bytes = (len(PAYLOAD) + 4) * PIPELINED
    for _ in range(ROUNDS):
        client.writer.write(frame(TEXT, PAYLOAD) * PIPELINED)
        await client.reader.readexactly(answer_bytes)


async def _measure(port: int, process: psutil.Process, pipe: Connection) -> None:
    path = "/?token=" + "t" * 300
    (await RawClient.connect(port, path)).vanish()  # what the first one costs, all share
    start = _rss(process, pipe)
    idle = [await RawClient.connect(port, path) for _ in range(IDLE)]
    await asyncio.sleep(0.5)
    grown = _rss(process, pipe) - start
    print(f"{grown / IDLE / 1024:.1f} KiB per idle socket, of {IDLE}")
    warm = [await RawClient.connect(port, path) for _ in range(ECHOING)]
    await asyncio.gather(*(_echo(client) for client in warm))
    before = process.cpu_times()
    await asyncio.gather(*(_echo(client) for client in warm))
    after = process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    print(f"{1e6 * spent / (ECHOING * ROUNDS * PIPELINED):.1f} µs of CPU per echo of {len(PAYLOAD)} bytes")
    for client in idle:
        client.vanish()


def main() -> None:
    """Measure and print."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 3 * IDLE)), hard))
    mine, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_child, args=(theirs,), daemon=True)
    child.start()
    try:
        asyncio.run(_measure(mine.recv(), psutil.Process(child.pid), mine))
        mine.send("stop")
    finally:
        child.join(10)
        child.kill()


if __name__ == "__main__":
    main()
