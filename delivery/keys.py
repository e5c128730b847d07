"""The only speller of the Redis keys and channels of the post.

Everything about one person carries his number as the hash tag ``{…}``, so that every script touches one slot and
the same code runs on a Redis Cluster. Keys of servers stand alone: no script joins them to a person.
"""

import re
from functools import cached_property

SERVERS = "servers"
"""Sorted set: serverId -> its last heartbeat in ms."""

CAP_CURSOR = "cap:cursor"
"""String: where the next run of the mailbox cap goes on scanning."""

EVERY_RECORD = "person:*"
"""Pattern of all people's records."""

_RECORD = re.compile(rb"person:\{([0-9]{10,15})\}\Z")

NOTHING = "nothing"
"""A key that never exists: deleting it shows whether Redis takes writes, and changes nothing."""

EVERYONE = "bell"
"""Channel every server listens to."""

REPLICAS = "replicas"
"""Channel nobody listens to: what is said there is one place more in the history that replicas copy."""


def place(job: str) -> str:
    """String: where the next run of a background job goes on."""
    return f"place:{job}"


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


def rate_bucket(limit: str, whose: str) -> str:
    """String with a time to live: how full this bucket of a rate limit is. It ends when the bucket is full."""
    return f"rate:{limit}:{{{whose}}}"


def login_places(mobile: str) -> str:
    """Sorted set with a time to live: digests of where somebody logged in with this number -> when, in ms."""
    return f"places:{{{mobile}}}"


class Person:
    """All keys of one person, one slot. ``mobile``: 10 to 15 ASCII digits, checked before."""

    def __init__(self, mobile: str) -> None:
        self.mobile = mobile

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
    def records(self) -> str:
        """Hash: dedupe records since the last turn."""
        return f"seen:{{{self.mobile}}}"

    @property
    def records_before(self) -> str:
        """Hash: dedupe records from before the last turn; ends by itself."""
        return f"seen:{{{self.mobile}}}:before"

    @property
    def answered(self) -> str:
        """Set with a time to live: whom this person wrote to."""
        return f"answered:{{{self.mobile}}}"

    @property
    def strangers(self) -> str:
        """Hash with a time to live: who wrote to this person and got no answer -> when they may write freely again."""
        return f"strangers:{{{self.mobile}}}"

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
            self.records,
            self.records_before,
            self.answered,
            self.strangers,
        ]

    # What a script takes, for those that run for every message: spelled once and kept.

    @cached_property
    def removal(self) -> list[str]:
        """The mailbox, and what an entry leaves behind elsewhere when it goes."""
        return [self.mailbox, self.tally, self.parked]

    @cached_property
    def settling(self) -> list[str]:
        """The same and the records: a chat may be known to be delivered to one of several devices."""
        return [*self.removal, self.records, self.records_before]

    @cached_property
    def expiring(self) -> list[str]:
        """The same, what tells whether an entry may be in flight, and what it becomes."""
        return [*self.settling, self.leases, self.phantoms]

    @cached_property
    def collecting(self) -> list[str]:
        """The same and what tells whether, and which, entries may be handed out."""
        return [*self.settling, self.leases, self.blocks, self.phantoms]

    @cached_property
    def sending(self) -> list[str]:
        """What decides the fate of a chat, and where it is put."""
        where = [self.record, self.mailbox, self.blocks, self.phantoms]
        records = [self.records, self.records_before]
        return [*where, self.leases, self.tally, *records, self.answered, self.strangers]

    @cached_property
    def answering(self) -> list[str]:
        """Where it is noted that this person wrote to somebody."""
        return [self.answered, self.strangers]

    @cached_property
    def telling(self) -> list[str]:
        """Where a receipt is put."""
        return [self.record, self.mailbox, self.leases]
