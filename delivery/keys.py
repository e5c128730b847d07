"""The only place that spells Redis keys and channels.

Everything about one person carries their mobile number as the hash tag ``{…}``, so that every script touches one slot
and the same code runs on a Redis Cluster. Keys of servers stand alone: no script joins them to a person.
"""

import re
from collections.abc import Callable
from typing import Final, Protocol

SERVERS: Final = "servers"
"""Sorted set: serverId -> its last heartbeat in ms."""

EXPIRY_CURSOR: Final = "cap:cursor"
"""String: where the next run of the expiry job goes on scanning."""

EVERY_USER: Final = "person:*"
"""Pattern of the hashes of all users."""

_USER: Final = re.compile(rb"person:\{([0-9]{10,15})\}\Z")

NOTHING: Final = "nothing"
"""A key that never exists: deleting it shows whether Redis takes writes, and changes nothing."""

# ---- channels, and what servers tell each other on them. Each message is a word and what follows, joined by spaces.

CHANNEL_PREFIX: Final = "notify:"
"""Begins the channel of one server; its serverId follows."""

EVERY_SERVER: Final = "notify"
"""Channel that every server listens to."""

REPLICAS: Final = "replicas"
"""Channel that nobody listens to: publishing there moves the place in the history that replicas copy."""

ENTRY_WAITS: Final = "entry"
"""``entry <mobile> <streamId>``: look into this mailbox. The streamId may be "": look whatever was read before."""

REPLACED: Final = "replaced"
"""``replaced <mobile> <connectionId>``: a newer connection holds this connection's device."""

PRIVACY_CHANGED: Final = "privacy"
"""``privacy <mobile> <privacy>``: what this person hides, as in :data:`PRIVACY`."""

SESSIONS_CLOSED: Final = "closed"
"""``closed <sessionId> …``: these sessions were logged out."""

SESSION_MOVED: Final = "moved"
"""``moved <sessionId>``: this session's person has another number."""

PRESENCE_CHANGED: Final = "presence"
"""``presence <mobile>``: what may be shown of this person changed; somebody here watches them."""

TYPING: Final = "typing"
"""``typing <mobile> <sender> <1 or 0>``: the sender types to this person, or has stopped."""

DEVICES_CHANGED: Final = "devices"
"""``devices <mobile>``: another device of this person is connected for the first time."""

HEARTBEAT: Final = "heartbeat"
"""A server to itself: it hears its channel."""

# ---- states of entries

ENTRY_ACKNOWLEDGED: Final = 1_000_000
"""A device has the chat, and its sender is being told. Our own code never fails so often on one entry."""

OWN_CHATS: Final = "own"
"""Where scripts take a sender, and mean the copies of what this person sent from another device."""

# ---- fields of a user's hash

ACCOUNT_ID: Final = "id"
EPOCH: Final = "epoch"
BLOCKS_VERSION: Final = "blocks"
"""Of blocks and privacy."""
RULES_VERSION: Final = "rules"
"""The same, written only with all that belongs to it: servers before privacy wrote the other one alone."""
PRIVACY: Final = "privacy"
"""See :meth:`protocol.privacy.Privacy.encode`; absent for a person who hides nothing."""
NUMBER_SINCE: Final = "since"
"""When this account got the number, in ms of Redis' clock, if it had another owner before: receipts of older chats are
theirs."""
LAST_ID: Final = "last"
"""Where the ids of a deleted mailbox ended."""

DEVICE_PREFIX: Final = "dev:"
"""Begins the field of a device; its value is when the device was last claimed, in ms."""


def channel(server_id: str) -> str:
    """Channel of one server."""
    return CHANNEL_PREFIX + server_id


def job_cursor(job: str) -> str:
    """String: where the next run of a background job goes on."""
    return f"place:{job}"


def server(server_id: str) -> str:
    """String with a time to live: what a server tells of itself, as JSON."""
    return f"server:{server_id}"


def mobile_of(user: bytes) -> str | None:
    """Whose hash this key is; None if it is not a user's."""
    found = _USER.match(user)
    return found[1].decode() if found else None


def people(server_id: str) -> str:
    """Set: the mobile numbers connected to this server. Written before the claim: it may name too many, never too
    few."""
    return f"people:{server_id}"


def rate_bucket(limit: str, whose: str) -> str:
    """String with a time to live: how full this bucket of a rate limit is. It ends when the bucket is full."""
    return f"rate:{limit}:{{{whose}}}"


def code(mobile: str) -> str:
    """String with a time to live: ``<digest> <wrong tries>`` of the code that was sent to this number."""
    return f"code:{{{mobile}}}"


class TakesKeys(Protocol):
    """A script: what it is called, and what its keys are called, in its order."""

    @property
    def name(self) -> str: ...
    @property
    def keys(self) -> tuple[str, ...]: ...


class _KeysOfScripts(dict[TakesKeys, list[str]]):
    """A dict, so that finding a list that was made before costs no call of a Python function."""

    def __init__(self, mobile: str) -> None:
        super().__init__()
        self._mobile = mobile

    def __missing__(self, script: TakesKeys) -> list[str]:
        person = Person(self._mobile)
        self[script] = found = [getattr(person, name) for name in script.keys]
        return found


class Person:
    """All keys of one person, in one slot. ``mobile``: 10 to 15 ASCII digits, checked before."""

    def __init__(self, mobile: str) -> None:
        self.mobile = mobile
        self.of: Callable[[TakesKeys], list[str]] = _KeysOfScripts(mobile).__getitem__
        """The keys that a script takes, in its order. They are spelled once and kept.

        Raises AttributeError when the script names a key that a person does not have.
        """

    @property
    def user(self) -> str:
        """Hash: account id, epoch, version of blocks and privacy, privacy, last stream id, devices."""
        return f"person:{{{self.mobile}}}"

    @property
    def mailbox(self) -> str:
        """Stream of unsettled entries, a group for each device."""
        return f"mailbox:{{{self.mobile}}}"

    @property
    def blocks(self) -> str:
        """Set of the mobile numbers this person blocks (the seed's own name for it)."""
        return f"blockedUser:{{{self.mobile}}}"

    @property
    def blocked_at(self) -> str:
        """Hash: mobile number this person blocks -> when this person was last seen at the moment of the block, in ms;
        0: never."""
        return f"blockedAt:{{{self.mobile}}}"

    @property
    def shadows(self) -> str:
        """Stream of shadow entries: the chats that blocked senders believe to wait here."""
        return f"phantoms:{{{self.mobile}}}"

    @property
    def entry_states(self) -> str:
        """Hash: streamId -> what is known of an entry that waits: a number, the sum of how often our own code failed on
        it and, once it was acknowledged, :data:`ENTRY_ACKNOWLEDGED`."""
        return f"parked:{{{self.mobile}}}"

    @property
    def leases(self) -> str:
        """Hash: device -> who holds it, and until when."""
        return f"leases:{{{self.mobile}}}"

    @property
    def watchers(self) -> str:
        """Sorted set with a time to live: serverId on which somebody watches this person -> until when it is notified,
        in ms."""
        return f"watchers:{{{self.mobile}}}"

    @property
    def last_seen(self) -> str:
        """String: when the last lease ended, in ms."""
        return f"lastseen:{{{self.mobile}}}"

    @property
    def tally(self) -> str:
        """Hash: how many chats and bytes wait, in all and of each sender."""
        return f"tally:{{{self.mobile}}}"

    @property
    def dedupe(self) -> str:
        """Hash: dedupe records since the last rotation."""
        return f"seen:{{{self.mobile}}}"

    @property
    def dedupe_before(self) -> str:
        """Hash: dedupe records from before the last rotation; ends by itself."""
        return f"seen:{{{self.mobile}}}:before"

    @property
    def answered(self) -> str:
        """Set with a time to live: whom this person wrote to."""
        return f"answered:{{{self.mobile}}}"

    @property
    def strangers(self) -> str:
        """Hash with a time to live: who wrote to this person and got no answer -> when they may write freely again."""
        return f"strangers:{{{self.mobile}}}"

    @property
    def login_places(self) -> str:
        """Sorted set with a time to live: digests of where somebody logged in with this number -> when, in ms."""
        return f"places:{{{self.mobile}}}"

    @property
    def left_by(self) -> str:
        """String with a time to live: the account that left this number. A server that read it in PostgreSQL before
        that must not load it any more."""
        return f"left:{{{self.mobile}}}"


OUTLIVES_A_PERSON: Final = frozenset({"left_by", "watchers"})
"""Keys that stay when a person is deleted. Who watches a number goes on watching it."""

EVERYTHING: Final = tuple(
    name for name, value in vars(Person).items() if isinstance(value, property) and name not in OUTLIVES_A_PERSON
)
"""What the keys are called that go when a number is left, or gets another owner."""
