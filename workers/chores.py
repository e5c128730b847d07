"""What every chore works with, and the walk from server to server that two of them share."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from accounts.events import SessionEvents
from delivery import keys
from delivery.devices import Devices
from delivery.link.link import Link
from delivery.mailbox import Mailbox
from delivery.people import People
from settings import Settings

AT_ONCE = 100
"""People asked about in one trip: what a batch of scripts does, all others wait for."""


@dataclass(frozen=True, slots=True)
class Chores:
    """The tools of a background worker."""

    settings: Settings
    link: Link
    people: People
    mailbox: Mailbox
    devices: Devices
    events: SessionEvents

    async def servers(self) -> list[tuple[str, bool]]:
        """Every server that is or was, and whether it lives."""
        names = [name.decode() for name in await self.link.command("ZRANGE", keys.SERVERS, 0, -1)]
        alive = await self.link.together([("EXISTS", keys.server(name)) for name in names]) if names else []
        return list(zip(names, map(bool, alive), strict=True))

    async def people_of(self, server_id: str) -> AsyncIterator[list[str]]:
        """The mobiles listed as connected to a server, about a hundred at a time: what is asked about them together is
        one trip to Redis, and thousands are through in less than a job's time."""
        cursor = b"0"
        while True:
            cursor, mobiles = await self.link.command("SSCAN", keys.people(server_id), cursor, "COUNT", AT_ONCE)
            yield [mobile.decode() for mobile in mobiles]
            if cursor == b"0":
                return
