"""PostgreSQL that is away, comes back, or does not answer."""

from tools.chaos.faults.base import Fault
from tools.chaos.stack import Stack

DATABASE = frozenset({"postgres"})


class StopPostgres(Fault):
    """People in Redis go on chatting."""

    servers_answer = True
    name, what, touches, seconds = "postgres-down", "PostgreSQL stopped for 5 s", DATABASE, 5.0
    outage_limit = 6.0

    def strike(self, stack: Stack) -> None:
        stack.postgres.stop()

    def heal(self, stack: Stack) -> None:
        stack.postgres.start()


class KillPostgres(StopPostgres):
    """PostgreSQL recovers, and every pooled connection fails once."""

    name, what, seconds = "postgres-restart", "kill -9 of PostgreSQL, started again at once", 0.0

    def strike(self, stack: Stack) -> None:
        stack.postgres.kill()


class FreezePostgres(Fault):
    """Connections stand, and no query is answered."""

    servers_answer = True
    name, what, touches, seconds = "postgres-frozen", "SIGSTOP of PostgreSQL and its sessions for 6 s", DATABASE, 6.0
    outage_limit = 6.0

    def strike(self, stack: Stack) -> None:
        stack.postgres.pause()

    def heal(self, stack: Stack) -> None:
        stack.postgres.resume()


FAULTS: list[type[Fault]] = [StopPostgres, KillPostgres, FreezePostgres]
