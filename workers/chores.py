"""What every chore works with, and the walk from server to server that two of them share."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from accounts.events import SessionEvents
from delivery import keys
from delivery.devices import Devices
from delivery.link import Link
from delivery.mailbox import Mailbox
from delivery.people import People
from settings import Settings


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

    async def people_of(self, server_id: str) -> AsyncIterator[str]:
        """The mobiles listed as connected to a server."""
        cursor = b"0"
        while True:
            cursor, mobiles = await self.link.command("SSCAN", keys.people(server_id), cursor, "COUNT", 500)
            for mobile in mobiles:
                yield mobile.decode()
            if cursor == b"0":
                return
