"""How this product wants Redis configured (docs/OPERATIONS.md, "Directives"), and what is said where it is not."""

import asyncio
from functools import partial
from typing import Any, Final

import hiredis
import structlog
from redis.exceptions import RedisError

from delivery.redis.client import resolve
from delivery.redis.connection import Address, open_connection, pack_command
from settings import Settings

logger = structlog.get_logger(__name__)
EXACTLY: Final = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": "",
    "hash-max-listpack-entries": "128",
    "stream-node-max-bytes": "1024",
    "stream-node-max-entries": "8",
}
"""Directives and their values. ``run.py`` and the compose file set the same ones; a test compares all three."""
AT_LEAST: Final = {"maxmemory": 1, "auto-aof-rewrite-min-size": 256 * 2**20}
"""Directives that depend on the machine, and the least that they should be, in bytes."""
RECOMMENDED: Final = {**EXACTLY, "maxmemory": "a limit", "auto-aof-rewrite-min-size": "256mb"}
"""All of them, as people read it."""
READ: Final = 'docs/OPERATIONS.md, "Directives"'


async def check_configuration(settings: Settings) -> None:
    """At the start: log each directive that is not as recommended. Never fails: the product works with other values.

    A Redis that is managed by somebody else may refuse CONFIG, which is no fault of its owner.
    """
    try:
        reply = await _ask(settings, "CONFIG", "GET", *RECOMMENDED)
    except (OSError, RedisError, hiredis.ReplyError) as error:
        reason = str(error)[:200] or type(error).__name__
        logger.info("the configuration of Redis could not be checked", reason=reason, read=READ)
        return
    words = [word.decode(errors="replace") for word in reply]
    found = dict(zip(words[::2], words[1::2], strict=True))
    for name, value in found.items():
        if not is_recommended(name, value):
            logger.warning(
                "a directive of Redis is not as recommended",
                directive=name,
                found=value,
                recommended=RECOMMENDED[name],
                read=READ,
            )
    if missing := [name for name in RECOMMENDED if name not in found]:
        logger.info("directives of Redis could not be checked", directives=missing, read=READ)


def is_recommended(name: str, value: str) -> bool:
    """Whether a directive has the value that is recommended, or a better one. A number in words ("1gb") is taken as
    another value: who sees the warning can read it."""
    if name in AT_LEAST:
        return value.isascii() and value.isdigit() and int(value) >= AT_LEAST[name]
    return value == EXACTLY[name]


async def _ask(settings: Settings, *words: str) -> Any:
    """The reply to one command, on a connection of its own: the client would report a refusal as an error of ours.

    :raises OSError: Redis does not answer
    :raises RedisError: it does not accept the login
    :raises hiredis.ReplyError: it refuses the command
    """
    reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    lost = partial(resolve, reply, ConnectionResetError("Redis closed the connection"))
    address = Address.of(settings.redis_url)
    connection = await open_connection(address, partial(resolve, reply), lost, settings.redis_connect_seconds)
    try:
        connection.write(pack_command(*words))
        async with asyncio.timeout(settings.redis_command_seconds):
            return await reply
    finally:
        connection.abort()
