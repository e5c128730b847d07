"""Which worker processes live: what they themselves write into Redis.

Each keeps ``server:<serverId>`` = ``{"pid", "parent", "host", "startedAt"}`` alive with heartbeats, and its name in the
sorted set ``servers``.
"""

import json
from dataclasses import dataclass

import redis

from tools.devstack.process import birth

TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Server:
    """One Sanic worker process, this run of it."""

    server_id: str
    pid: int

    def lives(self) -> bool:
        """Whether there is such a process."""
        return birth(self.pid) is not None


def living_servers(redis_url: str, parent: int) -> list[Server]:
    """The workers of the Sanic main process ``parent`` that live.

    :raises redis.RedisError: when Redis does not answer
    """
    with redis.Redis.from_url(
        redis_url, decode_responses=True, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
    ) as client:
        names = client.zrange("servers", 0, -1)
        records = client.mget([f"server:{name}" for name in names]) if names else []
    found = []
    for name, record in zip(names, records, strict=True):
        facts = json.loads(record) if record else {}
        if facts.get("parent") == parent and birth(int(facts["pid"])):
            found.append(Server(name, int(facts["pid"])))
    return found
