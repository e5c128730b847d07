"""The least that the parts of a message cost on this machine: each measured by itself, without the product.

Times are CPU time in µs, the least of several repetitions: what disturbs can only make them longer.
"""

import asyncio
import hashlib
import hmac
import secrets
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import hiredis
import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from tools.bench.client import CHAT, text_frame
from tools.devstack.options import ROOT

REPETITIONS: Final = 7
CALLS: Final = 2_000
CONNECTIONS: Final = 3_000
PAIRS: Final = 20
"""Of people, whose commands go together in one trip."""
ROUNDS: Final = 40
FIELDS: Final = 300
"""Most dedupe records of a person."""
SCRIPT_KEYS, SCRIPT_WORDS = 8, 14
"""Keys and other words of a script that stores or fetches, about."""
_TEXT: Final = (CHAT % ("15550000001", "a1b2c3-12-345")).encode()
_ACK: Final = b'{"type":"ack","ackType":"delivered","streamIds":["1700000000000-0"]}'


class _Frame(msgspec.Struct, gc=False, rename="camel"):
    type: str
    to: str = ""
    message_id: str = ""
    message: str = ""
    ack_type: str = ""
    stream_ids: list[str] = []


def least(work: Callable[[], Any], calls: int = CALLS) -> float:
    """CPU µs of one call."""
    took = []
    for _ in range(REPETITIONS):
        began = time.process_time()
        for _ in range(calls):
            work()
        took.append(time.process_time() - began)
    return min(took) / calls * 1e6


def _loopback() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        return one, listener.accept()[0]


def system_calls() -> float:
    """A send and a receive of a chat over TCP on the loopback; what the network stack does for it counts."""
    one, other = _loopback()
    with one, other:

        def work() -> None:
            one.send(_TEXT)
            other.recv(4096)

        return least(work)


_ECHO: Final = """
import socket, sys
peer = socket.socket(fileno=int(sys.argv[1]))
while data := peer.recv(4096):
    peer.send(data)
"""


def woken_up() -> float:
    """To send, go to sleep, be woken up by another process' answer, and receive that."""
    one, other = _loopback()
    with one, subprocess.Popen([sys.executable, "-c", _ECHO, str(other.fileno())], pass_fds=[other.fileno()]) as echo:
        other.close()

        def work() -> None:
            one.send(_TEXT)
            one.recv(4096)

        work()  # the other has begun
        try:
            return least(work)
        finally:
            echo.kill()


def connection_calls() -> float:
    """A connection is made, accepted and closed, both ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        address = listener.getsockname()

        def work() -> None:
            with socket.create_connection(address), listener.accept()[0]:
                pass

        return least(work, calls=200)


def json() -> float:
    """Of a chat with its acks, decode three frames that come and encode three that go."""
    decoder, encoder = msgspec.json.Decoder(_Frame), msgspec.json.Encoder()
    chat, ack = decoder.decode(_TEXT), decoder.decode(_ACK)

    def work() -> None:
        decoder.decode(_TEXT)
        decoder.decode(_ACK)
        decoder.decode(_ACK)
        encoder.encode(chat)
        encoder.encode(ack)
        encoder.encode(ack)

    return least(work)


def framing() -> float:
    """Of the same: header and mask of three frames that come, header of three that go."""
    frames = [text_frame(text.decode()) for text in (_TEXT, _ACK, _ACK)]

    def work() -> None:
        for frame in frames:
            size, at = frame[1] & 0x7F, 2
            if size == 126:
                (size,), at = struct.unpack_from("!H", frame, 2), 4
            mask = frame[at : at + 4] * (size // 4 + 1)
            data = int.from_bytes(frame[at + 4 :]) ^ int.from_bytes(mask[:size])
            payload = data.to_bytes(size)
            struct.pack("!BBH", 0x81, 126, len(payload))

    return least(work)


def redis_client() -> float:
    """Pack a script's call and parse its reply."""
    reader = hiredis.Reader()
    words = [
        "EVALSHA",
        "a" * 40,
        SCRIPT_KEYS,
        *["wm:mailbox:15550000001"] * SCRIPT_KEYS,
        *["1700000000000-0"] * SCRIPT_WORDS,
    ]
    reply = b"*3\r\n$4\r\ndone\r\n$15\r\n1700000000000-0\r\n*1\r\n$15\r\n1700000000000-0\r\n"

    def work() -> None:
        hiredis.pack_command(tuple(words))  # type: ignore[arg-type] # its stub knows tuples of one word only
        reader.feed(reply)
        reader.gets()

    return least(work)


async def loop_turn() -> float:
    """A turn of the event loop with nothing to do but to call back."""
    loop, took = asyncio.get_running_loop(), []
    for _ in range(REPETITIONS):
        done, left = loop.create_future(), CALLS

        def again() -> None:
            nonlocal left
            left -= 1
            if left:
                loop.call_soon(again)
            else:
                done.set_result(None)  # noqa: B023 - it is awaited before the next repetition

        began = time.process_time()
        again()
        await done
        took.append(time.process_time() - began)
    return min(took) / CALLS * 1e6


def token() -> float:
    """The signature of a token, and the key of an upgrade."""
    secret, words = secrets.token_bytes(48), b"x" * 200

    def work() -> None:
        hmac.digest(secret, words, "sha256")
        hashlib.sha1(words[:60], usedforsecurity=False).digest()

    return least(work)


_IDLE: Final = """
import asyncio, os, socket, sys
import uvloop
from tools.bench import cpu

async def main(count):
    loop, kept = asyncio.get_running_loop(), []
    for number in range(count + 100):
        if number == 100:
            before = cpu.memory([os.getpid()])
        here, there = socket.socketpair()
        kept.append(there.detach())
        kept.append((await loop.create_connection(asyncio.Protocol, sock=here))[0])
    print((cpu.memory([os.getpid()]) - before) / 1024 / count)

uvloop.run(main(int(sys.argv[1])))
"""


def connection_kb() -> float:
    """Memory of a connection of the event loop with an empty protocol, in KB, in a process that does nothing else."""
    command = [sys.executable, "-c", _IDLE, str(CONNECTIONS)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


# ---- Redis


class RedisFloor(NamedTuple):
    """CPU µs of Redis.

    :param commands: the commands that a message needs, without a script, many messages in one trip
    :param scripts: the calls of empty scripts for a message, many messages in one trip
    :param trip: one command that writes, in a trip of its own
    """

    commands: float
    scripts: float
    trip: float


async def redis(client: "Redis", pid: int, together: int, scripts: int) -> RedisFloor:
    """Measured on a running Redis, with its append-only file, in keys that are deleted afterwards.

    :param pid: of this Redis
    :param together: chats in one delivery
    :param scripts: calls for one delivery
    """
    deliveries = [_Delivery(f"floor:{secrets.token_hex(6)}", together) for _ in range(PAIRS)]
    empty = await client.script_load("return 1")
    keys = [key for each in deliveries for key in each.keys]
    for each in deliveries:
        for mailbox in (each.recipient, each.sender):
            await client.xgroup_create(mailbox, "primary", "0", mkstream=True)
    try:
        commands = await _spent(pid, lambda: _deliver(client, deliveries))
        calls = await _spent(pid, lambda: _call(client, empty, keys[:SCRIPT_KEYS], scripts * PAIRS))
        trip = await _spent(pid, lambda: client.set(deliveries[0].leases, "1"))
    finally:
        await client.delete(*keys)
    return RedisFloor(commands / PAIRS / together, calls / PAIRS / together, trip)


async def _spent(pid: int, work: Callable[[], Awaitable[Any]]) -> float:
    """CPU µs of Redis for ``work``."""
    took = []
    for _ in range(REPETITIONS):
        before = _ran(pid)
        for _ in range(ROUNDS):
            await work()
        took.append(_ran(pid) - before)
    return min(took) / ROUNDS * 1e6


def _ran(pid: int) -> float:
    """Seconds for which the main thread ran."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


async def _call(client: "Redis", sha: str, keys: Sequence[str], times: int) -> None:
    async with client.pipeline(transaction=False) as pipe:
        for _ in range(times):
            pipe.evalsha(sha, len(keys), *keys, *["1700000000000-0"] * SCRIPT_WORDS)
        await pipe.execute()


class _Delivery:
    """Chats of one person to another, again and again, as the product keeps them in Redis."""

    def __init__(self, name: str, together: int) -> None:
        self.recipient, self.sender = f"{name}:recipient", f"{name}:sender"
        self.dedupe, self.tally, self.leases = f"{name}:dedupe", f"{name}:tally", f"{name}:leases"
        self.keys = (self.recipient, self.sender, self.dedupe, self.tally, self.leases)
        self._together, self._number = together, 0
        self._fields: list[str] = []

    def store(self, pipe: "Pipeline") -> None:
        """Store the chats if they are new, and fetch them."""
        self._number += 1
        self._fields = [f"{self._number % FIELDS}-{each}" for each in range(self._together)]
        pipe.hmget(self.dedupe, self._fields)
        pipe.hmget(self.tally, ["n", "b", "n:1", "b:1"])
        for _ in self._fields:
            pipe.xadd(self.recipient, {"k": "c", "f": "15550000001", "i": "a1b2c3-12-345", "m": "x" * 200})
        pipe.hset(self.dedupe, mapping=dict.fromkeys(self._fields, "s1700000000000-0 abcdef"))
        pipe.hset(self.tally, mapping={"n": 1, "b": 200, "n:1": 1, "b:1": 200})
        pipe.hgetall(self.leases)
        pipe.xreadgroup("primary", "server", {self.recipient: ">"}, count=64)

    def tell(self, pipe: "Pipeline", ids: Sequence[bytes]) -> None:
        """Note the chats as delivered, store the receipt and fetch it, settle the chats."""
        pipe.hset(self.dedupe, mapping=dict.fromkeys(self._fields, "a1700000000000-0 abcdef"))
        pipe.xadd(self.sender, {"k": "r", "f": "15550000002", "a": "delivered", "i": " ".join(self._fields)})
        pipe.hgetall(self.leases)
        pipe.xreadgroup("primary", "server", {self.sender: ">"}, count=64)
        pipe.xack(self.recipient, "primary", *ids)
        pipe.xdel(self.recipient, *ids)
        pipe.hset(self.tally, mapping={"n": 0, "b": 0, "n:1": 0, "b:1": 0})

    def settle(self, pipe: "Pipeline", ids: Sequence[bytes]) -> None:
        """Settle the receipt."""
        pipe.xack(self.sender, "primary", *ids)
        pipe.xdel(self.sender, *ids)


async def _deliver(client: "Redis", deliveries: Sequence[_Delivery]) -> None:
    """Once for each; what a step needs of the one before comes back in between."""
    async with client.pipeline(transaction=False) as pipe:
        for each in deliveries:
            each.store(pipe)
        chats = _entries(await pipe.execute())
    async with client.pipeline(transaction=False) as pipe:
        for each, ids in zip(deliveries, chats, strict=True):
            each.tell(pipe, ids)
        receipts = _entries(await pipe.execute())
    async with client.pipeline(transaction=False) as pipe:
        for each, ids in zip(deliveries, receipts, strict=True):
            each.settle(pipe, ids)
        await pipe.execute()


def _entries(answers: Sequence[Any]) -> list[list[bytes]]:
    """The ids that each XREADGROUP brought: it alone answers with streams, which are lists of name and entries."""
    read = [each[0][1] for each in answers if isinstance(each, list) and each and isinstance(each[0], list)]
    return [[entry[0] for entry in entries] for entries in read]
