"""What the handlers are given to work with. Made in app.py, found by the handlers in ``app.ctx.services``."""

from dataclasses import dataclass
from typing import Literal, Protocol

from sanic import Request

from accounts.blocks import Blocks
from accounts.directory import Directory
from accounts.events import SessionEvents
from accounts.passwords import Passwords
from accounts.sessions import Sessions
from accounts.tokens import Tokens
from delivery.hub import Hub
from delivery.login_attempts import LoginAttempts
from delivery.messenger import Messenger
from delivery.ports import Record
from delivery.rate_limits import RateLimits, Upgrades
from settings import Settings


class Presence(Protocol):
    """Who is online, and since when not."""

    async def last_seen(self, mobile: str, asker: str) -> int | Literal["online"] | None:
        """Unix ms of the last sign of life; None: never seen, or hidden from this asker.

        :raises ApiError: ``unavailable``
        """
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One thing this server depends on.

    :param fault: what is wrong with it, in one sentence; "": nothing
    :param needed: whether this server is of no use without it
    """

    fault: str = ""
    needed: bool = True


class Probes(Protocol):
    """Looks at what this server depends on."""

    async def check(self) -> dict[str, Check]:
        """Each of them, by name. Never raises, and takes seconds at most."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a handler may call."""

    settings: Settings
    directory: Directory
    passwords: Passwords
    tokens: Tokens
    sessions: Sessions
    blocks: Blocks
    events: SessionEvents
    presence: Presence
    messenger: Messenger
    hub: Hub
    probes: Probes
    record: Record
    limits: RateLimits
    logins: LoginAttempts
    upgrades: Upgrades


def services(request: Request) -> Services:
    """Those of the application this request came to."""
    found: Services = request.app.ctx.services
    return found
