"""Our own product on a Redis that has a replica, which a chat waits for, or not."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

import redis

from tools.bench.cpu import Processes
from tools.bench.stack import Ours, Running
from tools.bench.talker import Talker
from tools.devstack.places import socket_directory
from tools.devstack.probe import free_port
from tools.devstack.process import wait_until
from tools.devstack.valkey import Valkey

READY_SECONDS: Final = 20.0
ACKED: Final = {"mini-replica": "0", "mini-replica-wait": "1"}
"""Contenders, and how many replicas a chat waits for."""


class Copied(Ours):
    """A stack, and a replica of its Redis on the same machine; both with ``appendfsync everysec``."""

    def __init__(self, running: Running, name: str, *, ack_each: bool = False, kind: type[Talker] = Talker) -> None:
        """:raises TimeoutError: when the replica does not catch up"""
        super().__init__(running, "everysec", name=name, ack_each=ack_each, kind=kind)
        self._home = Path(tempfile.mkdtemp(prefix="wm-replica-"))
        options = {"appendfsync": "everysec", "repl-diskless-sync-delay": "0"}
        self._replica = Valkey(self._home / "data", socket_directory(self._home), appendonly=True, options=options)
        self._replica.start()
        self._follow(running.run["redis_url"])

    def _follow(self, master_url: str) -> None:
        port = free_port()
        with redis.Redis.from_url(master_url) as master, redis.Redis.from_url(self._replica.url) as replica:
            master.config_set("port", port)
            replica.replicaof("127.0.0.1", port)
            if not wait_until(lambda: replica.info("replication")["master_link_status"] == "up", READY_SECONDS):
                raise TimeoutError("the replica did not catch up")

    def processes(self) -> Processes:
        """And the replica."""
        return {**super().processes(), "replica": [self._replica.pid]}

    async def close(self) -> None:
        """The replica ends, too."""
        await super().close()
        self._replica.stop()
        shutil.rmtree(self._home, ignore_errors=True)
