"""Redis and PostgreSQL that die, do not answer, lose data, are full, or are replaced by a replica."""

import time
from typing import Any

import redis

from tools.chaos.faults.base import Fault
from tools.chaos.stack import LEASE_SECONDS, Profile, Stack
from tools.devstack.process import wait_until

JOB_SECONDS = 10.0
REDIS = frozenset({"redis", "background"})
"""arq ends whenever Redis does."""
POSTGRES = frozenset({"postgres"})


class KillRedis(Fault):
    """A crash with a quick restart."""

    servers_answer = True
    name, what, touches, seconds = "kill-redis", "kill -9 of Redis (always), back after 0.5 s", REDIS, 0.5

    def strike(self, stack: Stack) -> None:
        stack.redis.kill()

    def heal(self, stack: Stack) -> None:
        stack.redis.start()


class KillRedisForLong(KillRedis):
    """A crash with a late restart."""

    name, what, seconds = "kill-redis-10s", "kill -9 of Redis (always), back after 10 s", 10.0


class KillRedisEverysec(KillRedis):
    """The kernel still has what the process wrote. Only a power loss would lose it."""

    name, what = "kill-redis-everysec", "kill -9 of Redis (everysec), back after 0.5 s"
    profile = Profile(fsync="everysec")


class KillRedisEverysecForLong(KillRedisForLong):
    """The same."""

    name, what = "kill-redis-everysec-10s", "kill -9 of Redis (everysec), back after 10 s"
    profile = Profile(fsync="everysec")


class FreezeRedis(Fault):
    """It accepts connections and commands, and answers none."""

    servers_answer = True
    name, what, touches, seconds = "freeze-redis", "SIGSTOP of Redis for 5 s, then SIGCONT", REDIS, 5.0

    def strike(self, stack: Stack) -> None:
        stack.redis.pause()

    def heal(self, stack: Stack) -> None:
        stack.redis.resume()


class Flush(Fault):
    """An operator's mistake."""

    servers_answer = True
    name, what, touches, seconds = "flushall", "FLUSHALL: every client gets resync, blocks hold", REDIS, 2.0
    loses_storage = True

    def strike(self, stack: Stack) -> None:
        with stack.client() as client:
            client.flushall()


class LoseFile(Fault):
    """A disk that was replaced."""

    servers_answer = True
    name, what, touches, seconds = (
        "aof-deleted",
        "kill -9 of Redis, its append-only file gone, started empty",
        REDIS,
        1.0,
    )
    loses_storage = True

    def strike(self, stack: Stack) -> None:
        stack.redis.kill()
        stack.redis.erase()

    def heal(self, stack: Stack) -> None:
        stack.redis.start()


class DiskFull(Fault):
    """With ``always`` Redis ends itself when it cannot write the file."""

    servers_answer = True
    name, what, touches, seconds = "disk-full", "the disk of Redis' append-only file full, then freed", REDIS, 4.0
    profile = Profile(small_disk=True)

    def strike(self, stack: Stack) -> None:
        assert stack.redis.disk is not None
        stack.redis.disk.fill()

    def heal(self, stack: Stack) -> None:
        assert stack.redis.disk is not None
        stack.redis.disk.free()
        time.sleep(0.2)  # it may just be about to end
        if not stack.redis.running().alive():
            stack.redis.start()


class DiskFullEverysec(DiskFull):
    """Redis refuses writes, and goes on by itself when it can."""

    name, what = "disk-full-everysec", "the same with everysec"
    profile = Profile(small_disk=True, fsync="everysec")

    def after(self, stack: Stack) -> list[str]:
        with stack.client() as client:
            return [] if client.info("persistence")["aof_last_write_status"] == "ok" else ["the file is not written"]


class FailOver(Fault):
    """The replica copies after the sender is answered. What it does not have is lost, without a notification: chats and
    the records of repeated ones, receipts, blocks, logouts (docs/RELIABILITY.md)."""

    servers_answer = True
    name, what, touches, seconds = "failover", "kill -9 of the master, its replica leads (no WAIT)", REDIS, 1.0
    profile = Profile(replica=True)
    excuses = frozenset({"I1", "I2", "I3", "I4", "I5", "I9"})

    def strike(self, stack: Stack) -> None:
        self.before_kill(stack)
        stack.redis.kill()

    def heal(self, stack: Stack) -> None:
        stack.fail_over()
        stack.new_replica()

    def before_kill(self, stack: Stack) -> None:
        """Change the replica while the master still lives."""


class FailOverLate(FailOver):
    """The replica was behind when the master ended."""

    name, what = "failover-lagging", "the same with a replica that was cut off for 2 s before (no WAIT)"

    def before_kill(self, stack: Stack) -> None:
        assert stack.replica is not None
        stack.replica.lose_master()
        time.sleep(2)


class FailOverAcked(FailOver):
    """The replica has every chat with ``sent``."""

    name, what = "failover-wait", "kill -9 of the master, its replica leads (the send waits for it)"
    profile = Profile(replica=True, acked=1)
    excuses = frozenset()


class FailOverAckedLate(FailOverLate):
    """No chat gets ``sent`` while the replica is behind."""

    name, what = (
        "failover-wait-lagging",
        "the same with a replica that was cut off for 2 s before (the send waits for it)",
    )
    profile = Profile(replica=True, acked=1)
    excuses = frozenset()


class ReplicaAway(Fault):
    """Chats are refused in time, and sent when the replica is back."""

    servers_answer = True
    name, what, touches, seconds = "replica-cut", "the replica that sends wait for is cut off, then back", REDIS, 4.0
    profile = Profile(replica=True, acked=1)

    def strike(self, stack: Stack) -> None:
        assert stack.replica is not None
        stack.replica.lose_master()

    def heal(self, stack: Stack) -> None:
        assert stack.replica is not None
        stack.replica.follow(stack.redis)


class ReplicaFrozen(ReplicaAway):
    """The same, without the master noticing it."""

    name, what = "replica-frozen", "SIGSTOP of the replica that sends wait for, then SIGCONT"

    def strike(self, stack: Stack) -> None:
        assert stack.replica is not None
        stack.replica.pause()

    def heal(self, stack: Stack) -> None:
        assert stack.replica is not None
        stack.replica.resume()


class ClockOfRedis(Fault):
    """Leases and streamIds follow its clock."""

    servers_answer = True
    name, what, seconds = "redis-clock-ahead", "Redis' wall clock jumps 1 h ahead, and back", 5.0
    touches = frozenset({"clock"})
    profile = Profile(clocks=True)
    by = 3600.0

    def strike(self, stack: Stack) -> None:
        assert stack.redis_clock is not None
        stack.redis_clock.move(self.by)

    def heal(self, stack: Stack) -> None:
        assert stack.redis_clock is not None
        stack.redis_clock.move(0)

    def after(self, stack: Stack) -> list[str]:
        longest = 0.0
        with stack.client() as client:
            now = _milliseconds(client)
            for name in client.scan_iter("leases:*"):
                for value in client.hgetall(name).values():
                    longest = max(longest, (int(str(value).split(" ")[3]) - now) / 1000)
        return [f"a lease lasts {longest:.0f} s more"] if longest > LEASE_SECONDS + 1 else []


class ClockOfRedisBack(ClockOfRedis):
    """A lease would last an hour longer if it were not shortened."""

    name, what = "redis-clock-behind", "Redis' wall clock jumps 1 h back, and ahead again"
    by = -3600.0


class ClockOfProduct(ClockOfRedis):
    """Tokens and buckets of dedupe records follow it."""

    name, what = "product-clock-ahead", "the wall clock of servers and jobs jumps 1 h ahead, and back"

    def strike(self, stack: Stack) -> None:
        assert stack.product_clock is not None
        stack.product_clock.move(self.by)

    def heal(self, stack: Stack) -> None:
        assert stack.product_clock is not None
        stack.product_clock.move(0)

    def after(self, stack: Stack) -> list[str]:
        """Jobs still run. (arq goes by the wall clock.)"""
        log = stack.logs / "arq.log"
        seen = log.stat().st_size

        def swept() -> bool:
            return b"cron:sweep_presence" in log.read_bytes()[seen:]

        return [] if wait_until(swept, JOB_SECONDS) else ["the jobs do not run any more"]


class ClockOfProductBack(ClockOfProduct):
    """The same."""

    name, what = "product-clock-behind", "the wall clock of servers and jobs jumps 1 h back, and ahead again"
    by = -3600.0


def _milliseconds(client: "redis.Redis") -> int:
    now: Any = client.time()
    return int(now[0]) * 1000 + int(now[1]) // 1000


class StopPostgres(Fault):
    """People in Redis go on chatting."""

    servers_answer = True
    name, what, touches, seconds = "postgres-down", "PostgreSQL stopped for 5 s", POSTGRES, 5.0
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
    name, what, touches, seconds = "postgres-frozen", "SIGSTOP of PostgreSQL and its sessions for 6 s", POSTGRES, 6.0
    outage_limit = 6.0

    def strike(self, stack: Stack) -> None:
        stack.postgres.pause()

    def heal(self, stack: Stack) -> None:
        stack.postgres.resume()


FAULTS: list[type[Fault]] = [
    KillRedis,
    KillRedisForLong,
    KillRedisEverysec,
    KillRedisEverysecForLong,
    FreezeRedis,
    Flush,
    LoseFile,
    DiskFull,
    DiskFullEverysec,
    FailOver,
    FailOverLate,
    FailOverAcked,
    FailOverAckedLate,
    ReplicaAway,
    ReplicaFrozen,
    ClockOfRedis,
    ClockOfRedisBack,
    ClockOfProduct,
    ClockOfProductBack,
    StopPostgres,
    KillPostgres,
    FreezePostgres,
]
