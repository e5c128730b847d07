"""Places in a stream as numbers, and how far a device has read."""

from dataclasses import dataclass, field

Id = tuple[int, int]
"""A streamId as (ms, sequence number): they compare as their places do."""
FIRST: Id = (0, 0)
"""Before every entry."""


def parse_id(stream_id: str | bytes) -> Id:
    """A streamId as numbers."""
    ms, _, number = (stream_id if isinstance(stream_id, str) else stream_id.decode()).partition("-")
    return int(ms), int(number)


def format_id(at: Id) -> str:
    """A streamId as Redis writes it."""
    return f"{at[0]}-{at[1]}"


@dataclass
class Group:
    """One device's place in a mailbox: what it has read up to, and what is pending, with the consumer (serverId)."""

    read: Id = FIRST
    pending: dict[Id, str] = field(default_factory=dict)
