"""Floods: what the hostile client sends, the words for its outcome, and one flood of each sort against the product."""

import asyncio
import json
import secrets
import struct
import sys
from collections.abc import Callable

import msgspec
import pytest
from websockets.asyncio.client import connect

from tests.support.stack import ServerGroup, Stack
from tools.bench import probe
from tools.bench.flooder import BELOW, KINDS, PROTOCOL, Flooder, FloodReport, Hostile, Order, Target, streams
from tools.bench.floods import CALM, Case, cases, outcome
from tools.bench.people import DatabaseAccounts
from tools.bench.report import flood_table, summary
from tools.devstack.options import ROOT

TARGET = Target("7000000001")


def messages(data: bytes) -> list[str]:
    """The texts of a client's frames, which are masked with zeros."""
    found = []
    while data:
        size, at = data[1] & 0x7F, 2
        if size == 126:
            (size,), at = struct.unpack("!H", data[2:4]), 4
        assert size != 127
        found.append(data[at + 4 : at + 4 + size].decode())
        data = data[at + 4 + size :]
    return found


@pytest.mark.parametrize("kind", PROTOCOL)
def test_a_flood_of_the_protocol_is_arrays_in_wm_v1_and_one_frame_a_message_in_the_seed_dialect(kind: str) -> None:
    for arrays in (True, False):
        blocks = streams(kind, TARGET, arrays=arrays)
        for _ in range(2):
            block, count = next(blocks)
            read = [json.loads(each) for each in messages(block)]
            assert isinstance(read[0], list) is arrays
            assert len(read[0] if arrays else read) == count
            assert all(len(each) <= 64 * 1024 for each in messages(block))


def test_only_the_flood_of_repetitions_sends_a_message_id_twice() -> None:
    for kind, alike in (("chats", False), ("nobody", False), ("repeated", True)):
        blocks = streams(kind, TARGET, arrays=True)
        ids = [each["messageId"] for _ in range(3) for each in json.loads(messages(next(blocks)[0])[0])]
        assert len(set(ids)) == (1 if alike else len(ids)), kind


def test_floods_below_the_protocol_run_in_one_dialect() -> None:
    every = list(cases(["acks", "pings"], ["wm.v1", "seed"], [1, 4]))
    assert [each.name for each in every] == [
        "calm",
        "acks wm.v1 ×1",
        "acks wm.v1 ×4",
        "acks seed ×1",
        "acks seed ×4",
        "pings wm.v1 ×1",
        "pings wm.v1 ×4",
    ]
    assert set(BELOW) < set(KINDS)


def test_the_outcome_of_a_hostile_client_is_described() -> None:
    case = Case("acks", "wm.v1", 1)
    assert outcome(case, FloodReport(connections=1)) == "left alone"
    assert outcome(case, FloodReport(blocked_percent=80)) == "kept waiting 80 % of the time"
    assert outcome(case, FloodReport(closes={"1008": 2}, refused={"429": 9})) == "closed 1008 ×2, refused 429 ×9"
    assert outcome(Case(CALM, "wm.v1", 0), FloodReport()) == ""


def test_the_table_shows_calm_beside_flooded() -> None:
    figures = {
        f"{prefix}{way}_p{p}_ms": factor * p / 10
        for prefix, factor in (("calm_", 1), ("", 2))
        for way in ("stored", "received", "receipt")
        for p in (50, 99)
    }
    record = {
        "mode": "floods",
        "contender": "acks wm.v1 ×1",
        "void": False,
        "figures": {**figures, "calm_stood_still_ms": 3.0, "stood_still_ms": 90.0},
        "cpu_microseconds_each": {},
        "activity_each": {},
        "facts": {"hostile": "left alone"},
    }
    line = flood_table(summary([record])).splitlines()[-1]
    assert line.startswith("| acks wm.v1 ×1 | 5 / 9.9 → 10 / 19.8 |")
    assert "| 2.0 | 3 → 90 | left alone |" in line


@pytest.fixture(scope="module")
def group(lasting_stack: Stack) -> ServerGroup:
    return lasting_stack.start(workers=2, COOLDOWN_SECONDS="0")


@pytest.fixture(scope="module")
def accounts(lasting_stack: Stack) -> DatabaseAccounts:
    return DatabaseAccounts(lasting_stack.env["DATABASE_URL"], lasting_stack.env["JWT_SECRET"])


async def hostile_accounts(accounts: DatabaseAccounts, count: int) -> list[Hostile]:
    made = await accounts.first(2 * count)
    return [
        Hostile(each.secret, f"127.66.0.{number + 1}", sybil.address, sybil.secret)
        for number, (each, sybil) in enumerate(zip(made[::2], made[1::2], strict=True))
    ]


async def flood(group: ServerGroup, kind: str, hostile: list[Hostile], dialect: str = "wm.v1") -> FloodReport:
    return await Flooder(Order(group.url, kind, dialect, 1.5, hostile)).run()


async def flood_until(
    seen: Callable[[FloodReport], bool], group: ServerGroup, kind: str, hostile: list[Hostile], dialect: str = "wm.v1"
) -> None:
    """Again and again until it is seen: a busy machine may need more time than one flood has."""
    reports = []
    for _ in range(8):
        reports.append(await flood(group, kind, hostile, dialect))
        if seen(reports[-1]):
            return
    raise AssertionError(f"never seen of {kind}: {reports}")


async def test_hostile_clients_connect_and_report_how_much_they_sent(
    group: ServerGroup, accounts: DatabaseAccounts
) -> None:
    first, second, third, fourth = await hostile_accounts(accounts, 4)
    # The code is lost when the connection ends with bytes unread.
    await flood_until(lambda report: bool(set(report.closes) & {"4503", "cut"}), group, "binary", [first], "seed")
    await flood_until(lambda report: bool(report.closes.get("4508")), group, "replaced", [second])
    await flood_until(lambda report: report.connections > 10, group, "reconnects", [third, fourth])
    await flood_until(lambda report: report.frames >= 300, group, "drip", [first])
    await flood_until(lambda report: report.connections >= 2 and report.frames > 1000, group, "acks", [first, second])

    forged = [Hostile("forged", "127.66.0.9", "1", "forged")]
    await flood_until(lambda report: bool(report.refused.get("401")) and report.connections == 0, group, "acks", forged)


async def test_chats_to_a_listening_sybil_are_acked(group: ServerGroup, accounts: DatabaseAccounts) -> None:
    (hostile,) = await hostile_accounts(accounts, 1)
    await flood(group, "chats", [hostile])
    async with connect(f"{group.ws_url}/?token={hostile.token}") as socket, asyncio.timeout(10):
        while json.loads(await socket.recv())["type"] != "ack":
            pass  # a receipt: the sybil had it, and acked


async def test_the_probe_finds_every_process_and_notices_one_that_is_stopped(
    group: ServerGroup, accounts: DatabaseAccounts
) -> None:
    tokens = [each.secret for each in await accounts.first(probe.PEOPLE)]
    servers = {server.server_id: server.pid for server in group.servers}
    order = probe.Order(group.url, tokens, list(servers), "127.67.0.1")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tools.bench.probe", cwd=ROOT, stdin=pipe, stdout=pipe
    )
    try:
        assert process.stdin
        assert process.stdout
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        stopped = secrets.choice(list(servers))
        await asyncio.sleep(0.2)
        await hold(servers[stopped], 0.5)
        await asyncio.sleep(0.3)
        process.stdin.close()
        report = msgspec.json.decode(await asyncio.wait_for(process.stdout.read(), 30), type=probe.ProbeReport)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    assert set(report.slow) == set(servers)
    assert max(took for _, took in report.slow[stopped]) > 0.4
    assert report.closed == 0


async def hold(pid: int, seconds: float) -> None:
    """Stop a process for so long."""
    stop = await asyncio.create_subprocess_exec("kill", "-STOP", str(pid))
    await stop.wait()
    await asyncio.sleep(seconds)
    resume = await asyncio.create_subprocess_exec("kill", "-CONT", str(pid))
    await resume.wait()
