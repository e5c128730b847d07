"""What is sent to Redis is taken at ``maxmemory``, whatever it is, but for the script that stores chats."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from delivery import scripts
from tests.support.links import link_to

ROOT = Path(__file__).parents[2]
ROOMS = ("accounts", "delivery", "handlers", "server", "workers")
SOURCES = [*(path for room in ROOMS for path in (ROOT / room).rglob("*.py")), ROOT / "app.py"]
SCRIPTS = [value for value in vars(scripts).values() if isinstance(value, scripts.Script)]
PLAIN = {"command", "send", "request_command", "pipeline", "notify_command"}
"""What takes the words of plain commands."""


def commands(source: str) -> Iterator[str]:
    """The first words of all plain commands in a source: they are in capitals."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PLAIN:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value.isupper():
                    yield inner.value


def test_plain_commands_are_found_wherever_they_are() -> None:
    source = (
        'redis.command("SET", a)\nredis.pipeline([("ZADD", x) for x in y])\n'
        'redis.request_command(h, "INCR", k)\nredis.write("APPEND")'
    )
    assert set(commands(source)) == {"SET", "ZADD", "INCR"}


async def test_no_plain_command_is_one_that_redis_refuses_for_want_of_memory(redis: "Redis") -> None:
    found = {word for path in SOURCES for word in commands(path.read_text())}
    assert {"SREM", "MGET", "PUBLISH", "GETDEL"} <= found
    link, refused = link_to(redis), []
    for word in sorted(found):
        (info,) = await link.command("COMMAND", "INFO", word)
        if info is not None and b"denyoom" in info[2]:
            refused.append(word)
    assert not refused, "these go through RedisClient.write"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_but_send_is_taken_at_maxmemory(script: scripts.Script) -> None:
    flags = script.text.splitlines()[0]
    assert ("allow-oom" in flags or "no-writes" in flags) is (script.name != "store_chats")
