"""What processes and Redis did: counted for those that did it, and only between begin and end."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from redis.asyncio import Redis

from tools.bench.activity import Activity, ActivityMeter, Scripts, WatchedRedis, roles_text, watch
from tools.bench.cpu import Processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
NAPS = 200
SLEEPER = f"""
import os, time
input()
for _ in range({NAPS}): time.sleep(0.001)
for _ in range({NAPS}): os.write(2, b".")
print("done", flush=True)
input()
"""
"""Is told to begin, goes to sleep and writes so often, and waits for its end."""
SCRIPT = "redis.call('SET', KEYS[1], 1) return redis.call('GET', KEYS[1])"


class Watched:
    """Some processes, and perhaps a Redis."""

    def __init__(self, processes: Mapping[str, list[int]], redis: WatchedRedis | None = None) -> None:
        self._processes, self.watched_redis = processes, redis

    def processes(self) -> Processes:
        return self._processes


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        yield process
        process.communicate(b"\n")


async def test_switches_and_writes_are_counted_for_the_process_that_does_them(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    meter = ActivityMeter(Watched({"server": [sleeper.pid], "gone": [2**22 + 1]}))
    await meter.begin()
    assert sleeper.stdin is not None
    assert sleeper.stdout is not None
    sleeper.stdin.write(b"\n")
    sleeper.stdin.flush()
    sleeper.stdout.readline()
    await meter.end()
    (server,) = meter.by_role["server"]
    (client,) = meter.by_role["client"]
    assert NAPS <= server.voluntary < 3 * NAPS
    assert NAPS < server.writes < 2 * NAPS
    assert client.voluntary < NAPS
    assert server.slices >= NAPS
    assert server.ran > 0
    assert meter.by_role["gone"] == []
    each = meter.each(NAPS)
    assert 1 <= each["roles"]["server"]["switches"] < 3
    assert roles_text(each, ("switches",)).startswith("server ")
    assert "gone" not in each["roles"]
    assert meter.each(0) == {}


def test_several_processes_of_a_role_are_summed_and_shown_apart() -> None:
    meter = ActivityMeter(Watched({}))
    servers = [Activity(voluntary=3, reads=4, ran=0.001), Activity(involuntary=1)]
    meter.by_role = {"server": servers, "client": [Activity()]}
    each = meter.each(2)
    assert each["roles"]["server"] == {
        "switches": 2,
        "involuntary": 0.5,
        "slices": 0,
        "ran_us": 500,
        "system_us": 0,
        "waited_us": 0,
        "reads": 2,
        "writes": 0,
    }
    assert [one["switches"] for one in each["processes"]["server"]] == [1.5, 0.5]
    assert roles_text(each, ("switches",)) == "", "nobody ran"


async def test_commands_of_redis_are_counted_between_begin_and_end(redis: Redis, valkey_url: str) -> None:
    meter = ActivityMeter(Watched({"server": [os.getpid()]}, WatchedRedis(valkey_url, {})))
    await redis.set("before", 1)
    await meter.begin()
    for _ in range(20):
        await redis.hset("key", "field", "1")
    await meter.end()
    assert meter.each(10)["redis_commands"]["hset"] == 2
    assert "set" not in meter.commands


async def test_scripts_are_told_apart_with_the_commands_in_them(redis: Redis, valkey_url: str) -> None:
    known = await redis.script_load(SCRIPT)
    other = await redis.script_load("return 1")

    async def work() -> None:
        for _ in range(3):
            await redis.evalsha(known, 1, "lua")
        await redis.evalsha(other, 0)
        await redis.get("plain")

    scripts = await watch(WatchedRedis(valkey_url, {known: "store"}), work())
    assert scripts.calls == {"store": 3, other[:8]: 1, "get": 1}
    assert scripts.inside == {"store": {"set": 3, "get": 3}}
    assert scripts.each(2)["script_calls"] == {"store": 1.5, other[:8]: 0.5, "get": 0.5}
    assert scripts.chats_together() is None, "no chat was stored"


def test_chats_that_go_together_are_those_of_one_call() -> None:
    line = b'+1700000000.000001 [0 %s] "%s" "%s"'
    xadd = line % (b"lua", b"XADD", b"mailbox")
    store = line % (b"unix:/x", b"EVALSHA", b"abc")
    scripts = Scripts.of([b"+OK", store, xadd, xadd, xadd, store, xadd], {"abc": "store_chats"})
    assert scripts.each(4)["chats_together"] == 2
