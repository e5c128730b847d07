"""A running product whose Redis and PostgreSQL are there to be broken, by one test after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from redis import Redis

from tests.support.people import NO_TLS
from tests.support.servers import directory, environment, postgres, valkey
from tests.support.stack import ServerGroup, Stack
from tools.devstack.postgres import Postgres
from tools.devstack.process import wait_until
from tools.devstack.valkey import Valkey

QUICK = {
    "BELL_SECONDS": "0.5",
    "BELL_SILENCE_SECONDS": "2",
    "PING_SECONDS": "1",
    "LEASE_SECONDS": "5",
    "SESSION_CHECK_SECONDS": "0.5",
    "MAILBOX_BYTES_PER_SENDER": str(2**24),  # some send as much as they can
}
"""What breaks is noticed soon."""
MEND_SECONDS = 60.0


@dataclass
class Fragile:
    """One server of one worker process, on a Valkey and a PostgreSQL of their own."""

    valkey: Valkey
    postgres: Postgres
    stack: Stack
    server: ServerGroup

    def mend(self) -> None:
        """Undo what the test before has left broken, because it failed or did not care.

        :raises AssertionError: the product does not recover from it
        """
        self._start_what_ended()
        for server in (self.valkey, self.postgres):
            server.resume()
        with Redis.from_url(self.valkey.url) as admin:
            admin.config_set("maxmemory", 0)
            admin.replicaof("NO", "ONE")
            admin.execute_command("ACL", "SETUSER", "default", "+@all")
        assert wait_until(self.is_whole, MEND_SECONDS), self.server.child.last_words(20)

    def is_whole(self) -> bool:
        """Whether nothing is wrong with anything."""
        self._start_what_ended()
        answer = httpx.get(f"{self.server.url}/ready", verify=NO_TLS, timeout=10)
        return answer.status_code == 200 and all(answer.json()["checks"].values())

    def _start_what_ended(self) -> None:
        """A server that a test started in a thread of its own ends with that thread, a moment after the test."""
        for server in (self.valkey, self.postgres):
            if not server.running().alive():
                server.start()


@contextmanager
def fragile_product(cluster: Path, logs: Path) -> Iterator[Fragile]:
    """Runs until the end.

    :param cluster: the data of a migrated PostgreSQL, to be copied
    """
    with (
        directory() as path,
        valkey(path, appendonly=True) as redis,
        postgres(cluster, path) as database,
        Stack(environment(redis.url, database.dsn()), logs) as stack,
    ):
        yield Fragile(redis, database, stack, stack.start(workers=1, **QUICK))
