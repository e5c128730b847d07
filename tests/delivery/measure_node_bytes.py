"""What ``stream-node-max-bytes`` saves in memory and costs in processor time of Redis.

``python -m tests.delivery.measure_node_bytes`` starts one server for each value and puts the same chats through the
real scripts of all of them in turn. ``VALKEY_BIN=/usr/bin/redis-server`` measures another server.
"""

import asyncio
import secrets
import statistics
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from delivery.in_flight import ToSettle
from delivery.mailbox import Mailbox
from delivery.presence import Holder, Presence
from delivery.redis.client import RedisClient
from delivery.user_records import UserRecords
from protocol.entries import Chat
from settings import Settings
from tests.support.messaging import AwaitedMailbox
from tools.devstack.paths import socket_directory
from tools.devstack.valkey import Valkey

SIZES = (4096, 1024)
PEOPLE, ROUNDS, TEXT, BACKLOG, AT_ONCE = 40, 15, "x" * 200, 64, 32
SENDER = "9199999999"


class Row:
    """Everybody is known."""

    account_id, blocks_version, privacy, last_seen_ms, devices = "account", 0, "", None, ("primary",)
    blocked: ClassVar[dict[str, int]] = {}


async def find(_mobile: str) -> Row:
    return Row()


@dataclass
class Bench:
    """One server, and the product's hands on it."""

    link: RedisClient
    people: UserRecords
    mail: AwaitedMailbox
    presence: Presence

    async def info(self, section: str) -> dict[str, str]:
        lines = (await self.link.command("INFO", section)).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    async def cpu(self) -> float:
        """Seconds Redis has used."""
        info = await self.info("cpu")
        return float(info["used_cpu_user_main_thread"]) + float(info["used_cpu_sys_main_thread"])

    async def cycle(self, mobile: str, chats: int) -> None:
        """So many chats to one person, one after the other; then they are read, acknowledged and settled together."""
        for _ in range(chats):
            await self.mail.store(mobile, SENDER, [(secrets.token_hex(8), TEXT)])
        holder = Holder(mobile, "primary", "s1", "c1")
        while chats > 0:
            found = await self.mail.fetch(holder, "new", min(chats, AT_ONCE))
            entries = [entry for entry in found.entries if isinstance(entry, Chat)]
            assert entries
            landed = [ToSettle(each.stream_id, each.sender, each.size) for each in entries]
            await self.mail.settle(mobile, "primary", landed)
            chats -= len(entries)

    async def round(self, mobiles: list[str], chats: int) -> float:
        """µs of Redis for one chat."""
        before = await self.cpu()
        await asyncio.gather(*[self.cycle(mobile, chats) for mobile in mobiles])
        return (await self.cpu() - before) / (len(mobiles) * chats) * 1e6


async def opened(url: str, mobiles: list[str]) -> Bench:
    made: dict[str, Any] = {
        "redis_url": url,
        "jwt_secret": secrets.token_hex(24),
        "mailbox_per_sender": 10_000,
        "lease_seconds": 3600,
    }
    settings = Settings(database_url="postgres://nobody@127.0.0.1/none", **made)
    link = RedisClient(settings)
    people = UserRecords(link, find)
    bench = Bench(
        link, people, AwaitedMailbox(Mailbox(link, people, settings), people), Presence(link, people, settings)
    )
    for mobile in mobiles:
        await bench.presence.claim(Holder(mobile, "primary", "s1", "c1"), Row.account_id)
    return bench


async def measure(servers: dict[int, Valkey]) -> None:
    """In turn, and print."""
    mobiles = [f"91{n:08d}" for n in range(PEOPLE)]
    benches = {size: await opened(server.url, mobiles) for size, server in servers.items()}
    for chats in (1, 8, BACKLOG):
        costs: dict[int, list[float]] = {size: [] for size in benches}
        for n in range(ROUNDS):
            for size in sorted(benches, reverse=n % 2 == 0):
                costs[size].append(await benches[size].round(mobiles, chats))
        told = "  ".join(f"{size}: {statistics.median(found):5.1f} µs" for size, found in costs.items())
        pairs = [costs[SIZES[1]][n] / costs[SIZES[0]][n] for n in range(ROUNDS)]
        ratio = f"{SIZES[1]} / {SIZES[0]}: {statistics.median(pairs):.3f}"
        print(f"{chats:3} waiting, then read and settled: {told}   {ratio}")
    for count in (1, 4, 20, 100):
        told = "  ".join([f"{size}: {await _waiting(bench, count):6} B" for size, bench in benches.items()])
        print(f"memory of a mailbox with {count:3} waiting:  {told}")
    for bench in benches.values():
        await bench.link.close()


async def _waiting(bench: Bench, chats: int) -> int:
    """Bytes of the mailbox of somebody who is offline, with so many chats of 100 bytes."""
    mobile = f"92{chats:08d}"
    await bench.people.load(mobile)
    for n in range(chats):
        await bench.mail.store(mobile, SENDER, [(f"m-{n}", "x" * 100)])
    used: int = await bench.link.command("MEMORY", "USAGE", bench.people.keys(mobile).mailbox, "SAMPLES", 0)
    return used


async def main() -> None:
    async with AsyncExitStack() as stack:
        servers = {}
        for size in SIZES:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wm-", dir="/dev/shm")))
            options = {"stream-node-max-bytes": str(size), "appendfsync": "everysec"}
            server = Valkey(path / "valkey", socket_directory(path), appendonly=True, options=options)
            server.start()
            stack.callback(server.stop)
            servers[size] = server
        await measure(servers)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
