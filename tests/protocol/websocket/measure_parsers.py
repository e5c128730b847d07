"""Processor time per frame: `websockets`' pure machine, ours, and `wsproto` where it is installed.

Run: ``python -m tests.protocol.websocket.measure_parsers``. Figures are in docs/decisions/0008.
"""

import gc
import importlib.util
import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol

from protocol.websocket import writer
from protocol.websocket.reader import FrameReader

FRAMES = 20_000
ROUNDS = 5
JOINED = 50
PAYLOAD = b'{"type":"chat","message":"' + b"x" * 222 + b'"}'
MASK = os.urandom(4)
FRAME = (
    b"\x81\xfe" + struct.pack("!H", len(PAYLOAD)) + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(PAYLOAD))
)


def by_websockets(joined: int) -> None:
    machine = ServerProtocol(state=State.OPEN, max_size=65_536)
    for _ in range(FRAMES // joined):
        machine.receive_data(FRAME * joined)
        for event in machine.events_received():
            if isinstance(event, Frame):
                bytes(event.data).decode()


def by_us(joined: int) -> None:
    reader = FrameReader(65_536)
    for _ in range(FRAMES // joined):
        reader.feed(FRAME * joined)
        while reader.next() is not None:
            pass


def by_wsproto(joined: int) -> None:
    from wsproto.connection import Connection, ConnectionType  # type: ignore  # noqa: PLC0415

    machine = Connection(ConnectionType.SERVER)
    for _ in range(FRAMES // joined):
        machine.receive_data(FRAME * joined)
        for _event in machine.events():
            pass


def written_by_websockets(_joined: int) -> None:
    machine = ServerProtocol(state=State.OPEN)
    for _ in range(FRAMES):
        machine.send_text(PAYLOAD)
        machine.data_to_send()


def written_by_us(_joined: int) -> None:
    for _ in range(FRAMES):
        writer.text(PAYLOAD)


def microseconds(work: Callable[[int], None], joined: int) -> float:
    """Per frame, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        work(joined)
        best = min(best, time.process_time() - started)
    return best / FRAMES * 1e6


def size(make: Callable[[], Any]) -> float:
    """Bytes of one that only waits."""
    make()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    kept = [make() for _ in range(1000)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / len(kept)


def main() -> None:
    """Measure and print."""
    readers = [by_websockets, by_us]
    if importlib.util.find_spec("wsproto") is not None:
        readers.append(by_wsproto)
    for work in readers:
        alone, joined = microseconds(work, 1), microseconds(work, JOINED)
        print(f"{work.__name__}: {alone:.2f} µs a frame, {joined:.2f} in reads of {JOINED}")
    for work in (written_by_websockets, written_by_us):
        print(f"{work.__name__}: {microseconds(work, 1):.2f} µs a frame")
    print(f"ServerProtocol: {size(lambda: ServerProtocol(state=State.OPEN)):.0f} bytes")
    print(f"FrameReader: {size(lambda: FrameReader(65_536)):.0f} bytes")


if __name__ == "__main__":
    main()
