"""Redis and PostgreSQL as the servers see them: one method a script, on the models, at the time of Redis' own clock.

What a script would return or raise is returned, as :mod:`delivery.results` says it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from delivery.in_flight import ToSettle
from delivery.presence import Holder
from delivery.results import (
    Claimed,
    ClaimMode,
    Fetched,
    FetchMode,
    LeaseVerdict,
    NotCached,
    Renewed,
    Silent,
    Superseded,
    Unproven,
    Unread,
)
from protocol.entries import Chat, Entry, OwnChat, OwnRead, Receipt
from protocol.errors import ApiError
from settings import Settings
from tools.simulate.redis_model.mailbox_model import OWN_CHAT, OWN_READ, Limits, MailboxModel, StoredEntry
from tools.simulate.redis_model.stream_ids import FIRST, Id, format_id, parse_id
from tools.simulate.timeline import START, Timeline

START_MS: Final = 1_900_000_000_000
OVERTAKEN_MS: Final = 1000
"""As in claim.lua."""
Publish = Callable[[str, str, str], None]
"""Tells a server (serverId) of an entry (mobile, streamId), or that another device is there (mobile, ``DEVICES``)."""
DEVICES: Final = "devices"
UNAVAILABLE: Final = ApiError("unavailable")
_VERDICTS: Final[dict[str, type[NotCached | Superseded | Unproven | Silent]]] = {
    "not_cached": NotCached,
    "replaced": Superseded,
    "unproven": Unproven,
    "silent": Silent,
}


@dataclass
class RedisClock:
    """``jump`` is what it was moved by, in ms."""

    timeline: Timeline
    jump: int = 0

    @property
    def redis_ms(self) -> int:
        """What Redis takes for the time."""
        return START_MS + self.passed + self.jump

    @property
    def passed(self) -> int:
        """What really passed."""
        return int((self.timeline.now - START) * 1000)


@dataclass
class Account:
    """What PostgreSQL has of a user."""

    id: str
    version: int = 0
    blocked: list[str] = field(default_factory=list)


class Stored(NamedTuple):
    """What became of chats or a receipt; ``servers`` are to be notified of ``newest``, and all but ours were."""

    newest: str
    servers: list[str]
    results: list[str | ApiError]


class Copied(NamedTuple):
    """What became of copies for other devices, of which there may be none (``alone``)."""

    alone: bool
    newest: str
    servers: list[str]


class Read(NamedTuple):
    """What became of chats that were read, and of what the other devices are told of it."""

    stream_ids: list[str]
    newest: str
    servers: list[str]


class Storage:
    """All mailboxes."""

    def __init__(self, timeline: Timeline, settings: Settings, mobiles: Sequence[str], publish: Publish) -> None:
        self.clock = RedisClock(timeline)
        self.accounts = {mobile: Account(f"account {mobile}") for mobile in mobiles}
        self.mailboxes: dict[str, MailboxModel] = {}
        self.frozen_until = 0.0
        self._publish = publish
        self._settings = settings
        self._patience_ms = int((settings.redis_connect_seconds + settings.redis_command_seconds) * 1000)
        self._epochs = 0
        self.flush()

    def flush(self) -> None:
        """Redis lost everything."""
        settings, lease_ms = self._settings, int(self._settings.lease_seconds * 1000)
        limits = Limits(
            settings.mailbox_limit,
            settings.mailbox_bytes,
            settings.mailbox_per_sender,
            settings.max_devices,
            settings.mailbox_bytes_per_sender,
        )
        self.mailboxes = {mobile: MailboxModel(mobile, self.clock, limits, lease_ms) for mobile in self.accounts}

    # ---- users

    def load(self, mobile: str, found: Account) -> None:
        """What PostgreSQL had of a user when it was asked."""
        self._epochs += 1
        self.mailboxes[mobile].load(
            found.id, f"epoch {self._epochs}", found.version, dict.fromkeys(found.blocked, 0), None
        )

    def presence(self, mobile: str, asker: str) -> int | str | NotCached | None:
        """As told to the asker."""
        mailbox = self.mailboxes[mobile]
        if not mailbox.account:
            return NotCached()
        return mailbox.read_presence(asker)

    def sweep(self, mobile: str) -> None:
        """Leases that ended, and those that are longer than allowed."""
        self.mailboxes[mobile].leases.sweep("")

    # ---- storing

    def store_chats(self, server_id: str, to: str, sender: str, chats: Sequence[tuple[str, str]]) -> Stored | NotCached:
        """Chats of one sender, in order."""
        mailbox = self.mailboxes[to]
        places = mailbox.store_chats(sender, chats)
        if places is None:
            return NotCached()
        newest = mailbox.newest_to_notify(sender, chats)
        results = [each if isinstance(each, ApiError) else format_id(each) for each in places]
        if newest == FIRST:
            return Stored("", [], results)
        return Stored(format_id(newest), self._notify(server_id, to, newest), results)

    def store_receipt(
        self, server_id: str, to: str, sender: str, kind: str, message_ids: Sequence[str]
    ) -> Stored | NotCached:
        """A receipt of ``sender`` for the sender of chats."""
        at = self.mailboxes[to].store_receipt(sender, kind, message_ids)
        if at is None:
            return NotCached()
        return Stored(format_id(at), self._notify(server_id, to, at), [])

    def store_own(
        self, server_id: str, holder: Holder, to: str, chats: Sequence[tuple[str, str, int]]
    ) -> Copied | NotCached:
        """Copies of what this device sent."""
        newest = self.mailboxes[holder.mobile].store_own(holder.device, to, chats)
        if newest is None:
            return NotCached()
        if isinstance(newest, bool):
            return Copied(alone=True, newest="", servers=[])
        return Copied(False, *self._notified_others(server_id, holder, newest))

    def _notified_others(self, server_id: str, holder: Holder, newest: Id) -> tuple[str, list[str]]:
        if newest == FIRST:
            return "", []
        return format_id(newest), self._notify(server_id, holder.mobile, newest, but=holder.device)

    def _notify(self, server_id: str, mobile: str, newest: Id, but: str = "") -> list[str]:
        servers = self.mailboxes[mobile].leases.live_servers(but)
        for server in servers:
            if server != server_id:
                self._publish(server, mobile, format_id(newest))
        return servers

    # ---- fetching and settling

    def fetch(
        self, holder: Holder, mode: FetchMode, count: int, cursor: str, ids: Sequence[str], settled: Sequence[ToSettle]
    ) -> Fetched:
        """Entries for one connection, if it still holds the lease."""
        verdict, after, read, found = self.mailboxes[holder.mobile].fetch(
            holder,
            mode,
            count,
            parse_id(cursor),
            [parse_id(each) for each in ids],
            [parse_id(entry.stream_id) for entry in settled],
        )
        has_copies = len(self.mailboxes[holder.mobile].groups) > 1
        entries = [_entry(at, entry) for at, entry in found]
        return Fetched(verdict, format_id(after), read, entries, has_copies)  # type: ignore[arg-type] # one of three

    def settle(self, mobile: str, device: str, settled: Sequence[ToSettle]) -> None:
        """This device has these entries."""
        self.mailboxes[mobile].settle(device, [parse_id(entry.stream_id) for entry in settled])

    def note_delivered(self, mobile: str, sender: str, message_ids: Sequence[str], state: str) -> list[str]:
        """Those of which the sender knows as much already."""
        return self.mailboxes[mobile].note_delivered(sender, message_ids, state)

    def find_unread(self, mobile: str, sender: str, message_ids: Sequence[str]) -> Unread:
        """Known, and not marked read."""
        mailbox = self.mailboxes[mobile]
        names = mailbox.find_unread(sender, message_ids)
        return Unread(names, stream_ids=[format_id(mailbox.records[sender, name].at) for name in names])

    def mark_read(self, server_id: str, holder: Holder, sender: str, message_ids: Sequence[str]) -> Read:
        """The streamIds of those that are marked now."""
        marked, newest = self.mailboxes[holder.mobile].mark_read(holder.device, sender, message_ids)
        return Read([format_id(at) for at in marked], *self._notified_others(server_id, holder, newest))

    # ---- leases

    def claim(
        self, holder: Holder, mode: ClaimMode, age_ms: int, late_ms: int
    ) -> Claimed | NotCached | Silent | Superseded | Unproven | ApiError:
        """``late_ms``: so long ago the command was written, ``age_ms`` before that was the last sign of life."""
        mailbox, account = self.mailboxes[holder.mobile], self.accounts[holder.mobile]
        if late_ms > self._patience_ms:
            return UNAVAILABLE
        lease = mailbox.leases.by_device.get(holder.device)
        if (
            lease is not None
            and mailbox.account == account.id
            and mode == "proven"
            and self._is_overtaken(holder, late_ms)
        ):
            return UNAVAILABLE
        is_new = holder.device not in mailbox.devices
        verdict, before = mailbox.claim(holder, account.id, age_ms + late_ms, mode)
        if verdict == "claimed":
            for server in mailbox.leases.live_servers(holder.device) if is_new else ():
                self._publish(server, holder.mobile, DEVICES)
            newest = format_id(max(mailbox.entries)) if mailbox.entries else ""
            replaced = (before.server_id, before.connection_id) if before else None
            return Claimed(mailbox.epoch, replaced, newest, len(mailbox.devices))
        error = _VERDICTS.get(verdict)
        return ApiError(verdict) if error is None else error()

    def _is_overtaken(self, holder: Holder, late_ms: int) -> bool:
        """Another connection may have come after our server had given this up."""
        leases = self.mailboxes[holder.mobile].leases
        lease = leases.by_device.get(holder.device)
        if lease is None:
            return False
        is_newer = leases.is_live(holder.device) and lease.alive_at > self.clock.redis_ms - late_ms
        return leases.check_holder(holder) == "replaced" and late_ms > OVERTAKEN_MS and is_newer

    def renew(self, holder: Holder, age_ms: int, late_ms: int) -> Renewed | ApiError:
        """Whether the lease goes on, the newest entry that waits, and how many devices there are."""
        if late_ms > self._patience_ms:
            return UNAVAILABLE
        mailbox = self.mailboxes[holder.mobile]
        verdict: LeaseVerdict = mailbox.leases.renew(holder, age_ms + late_ms)  # type: ignore[assignment]
        if verdict != "ok":
            return Renewed(verdict)
        return Renewed(
            verdict, format_id(max(mailbox.entries)) if mailbox.entries else "", devices=len(mailbox.devices)
        )

    def release(self, holder: Holder, age_ms: int) -> None:
        """If the lease still names this connection."""
        self.mailboxes[holder.mobile].release(holder, age_ms)


def _entry(at: Id, entry: StoredEntry) -> Entry:
    if entry.ack_type == OWN_CHAT:
        return OwnChat(format_id(at), entry.sender, entry.message_ids[0], entry.text, entry.sent_at, entry.device)
    if entry.ack_type == OWN_READ:
        return OwnRead(format_id(at), entry.sender, list(entry.message_ids), entry.device)
    if entry.ack_type:
        return Receipt(format_id(at), entry.sender, entry.ack_type, list(entry.message_ids))
    return Chat(format_id(at), entry.sender, entry.message_ids[0], entry.text)
