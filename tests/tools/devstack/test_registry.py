"""Of all that registered, only living workers of the group asked for."""

import json
import os
import subprocess

from redis import Redis

from tools.devstack.registry import Server, living_servers


def register(client: Redis, name: str, pid: int, parent: int) -> None:
    client.zadd("servers", {name: 1})
    client.set(f"server:{name}", json.dumps({"pid": pid, "parent": parent}))


def test_only_the_living_of_our_group_are_told(valkey_url: str) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    with Redis.from_url(valkey_url) as client:
        client.flushall()
        register(client, "mine", os.getpid(), 7)
        register(client, "another-groups", os.getpid(), 8)
        register(client, "dead", gone.pid, 7)
        client.zadd("servers", {"expired": 2})
    assert living_servers(valkey_url, 7) == [Server("mine", os.getpid())]
    assert living_servers(valkey_url, 9) == []
