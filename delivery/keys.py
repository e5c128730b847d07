"""The only speller of the Redis keys and channels of the post.

Everything about one person carries his number as the hash tag ``{…}``, so that every script touches one slot and
the same code runs on a Redis Cluster. Keys of servers stand alone: no script joins them to a person.
"""

import re
import time
from dataclasses import dataclass

SERVERS = "servers"
"""Sorted set: serverId -> its last heartbeat in ms."""

CAP_CURSOR = "cap:cursor"
"""String: where the next run of the mailbox cap goes on scanning."""

EVERY_RECORD = "person:*"
"""Pattern of all people's records."""

_RECORD = re.compile(rb"person:\{([0-9]{10,15})\}\Z")

EVERYONE = "bell"
"""Channel every server listens to."""


def server(server_id: str) -> str:
    """String with a time to live: what a server tells of itself, as JSON."""
    return f"server:{server_id}"


def mobile_of(record: bytes) -> str | None:
    """Whose record this key is; None if it is none."""
    found = _RECORD.match(record)
    return found[1].decode() if found else None


def people(server_id: str) -> str:
    """Set: the mobiles connected to this server. Written before the claim, so never short; perhaps too long."""
    return f"people:{server_id}"


def bell(server_id: str) -> str:
    """Channel of one server."""
    return f"bell:{server_id}"


@dataclass(frozen=True, slots=True)
class Person:
    """All keys of one person, one slot.

    :param mobile: 10 to 15 ASCII digits, checked before
    :param dedupe_seconds: width of a dedupe bucket
    :param day: number of the current bucket
    """

    mobile: str
    dedupe_seconds: int
    day: int

    @classmethod
    def of(cls, mobile: str, dedupe_seconds: int) -> "Person":
        """The keys as they are now; buckets follow the wall clock."""
        return cls(mobile, dedupe_seconds, int(time.time()) // dedupe_seconds)

    @property
    def record(self) -> str:
        """Hash: account id, epoch, version of the blocks, last stream id, devices."""
        return f"person:{{{self.mobile}}}"

    @property
    def mailbox(self) -> str:
        """Stream of unsettled entries, a group per device."""
        return f"mailbox:{{{self.mobile}}}"

    @property
    def blocks(self) -> str:
        """Set of the mobiles this person blocks (the seed's own name for it)."""
        return f"blockedUser:{{{self.mobile}}}"

    @property
    def phantoms(self) -> str:
        """Stream of what blocked senders believe to wait here."""
        return f"phantoms:{{{self.mobile}}}"

    @property
    def parked(self) -> str:
        """Hash: streamId -> how often our own code failed on that entry."""
        return f"parked:{{{self.mobile}}}"

    @property
    def leases(self) -> str:
        """Hash: device -> who holds it, and until when."""
        return f"leases:{{{self.mobile}}}"

    @property
    def last_seen(self) -> str:
        """String: when the last lease ended, in ms."""
        return f"lastseen:{{{self.mobile}}}"

    @property
    def tally(self) -> str:
        """Hash: how many chats and bytes wait, in all and of each sender."""
        return f"tally:{{{self.mobile}}}"

    @property
    def waiting(self) -> str:
        """Hash: dedupe records of chats that wait."""
        return f"seen:{{{self.mobile}}}"

    def bucket(self, offset: int = 0) -> str:
        """Hash: dedupe records of chats that left on this day; expires as a whole."""
        return f"seen:{{{self.mobile}}}:{self.day + offset}"

    @property
    def bucket_seconds(self) -> int:
        """How long a bucket lives: to the end of its day, and the dedupe time on top; tomorrow's a day more."""
        return 3 * self.dedupe_seconds

    def everything(self) -> list[str]:
        """The keys ``load`` may have to delete, in its order."""
        return [
            self.record,
            self.blocks,
            self.last_seen,
            self.mailbox,
            self.phantoms,
            self.parked,
            self.leases,
            self.tally,
            self.waiting,
            *self.buckets(),
        ]

    def buckets(self) -> list[str]:
        """Yesterday's, today's, and tomorrow's: another server's clock may be ahead."""
        return [self.bucket(-1), self.bucket(), self.bucket(1)]

    def removal(self) -> list[str]:
        """What an entry leaves behind when it goes."""
        return [self.tally, self.waiting, self.bucket(), self.parked]
