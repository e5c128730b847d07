"""What handlers may call. Made in app.py, and found in ``app.ctx.services``."""

from dataclasses import dataclass
from typing import Literal, Protocol

from sanic import Request

from accounts.blocks import Blocks
from accounts.departures import Departures
from accounts.directory import Directory
from accounts.events import SessionEvents
from accounts.number_change import NumberChanges
from accounts.password_changes import PasswordChanges
from accounts.passwords import Passwords
from accounts.privacy import PrivacySettings
from accounts.profiles import Profiles
from accounts.sessions import Sessions
from accounts.tokens import Tokens
from delivery.codes import Codes
from delivery.devices import Devices
from delivery.held import Held
from delivery.hub import Hub
from delivery.login_attempts import LoginAttempts
from delivery.rate_limits import RateLimits, Refreshes, Upgrades
from delivery.session.connection import Messaging
from handlers.readiness import Readiness
from settings import Settings


class Presence(Protocol):
    """Tells who is online, and since when others are not."""

    async def last_seen(self, mobile: str, asker: str) -> int | Literal["online"] | None:
        """Unix ms of the end of the last lease; None: never connected, or hidden from ``asker``.

        :raises ApiError: ``unavailable``
        """
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a handler may call."""

    settings: Settings
    directory: Directory
    passwords: Passwords
    tokens: Tokens
    sessions: Sessions
    password_changes: PasswordChanges
    blocks: Blocks
    profiles: Profiles
    privacy: PrivacySettings
    departures: Departures
    held: Held
    devices: Devices
    number_changes: NumberChanges
    events: SessionEvents
    presence: Presence
    messaging: Messaging
    hub: Hub
    readiness: Readiness
    limits: RateLimits
    codes: Codes
    logins: LoginAttempts
    upgrades: Upgrades
    refreshes: Refreshes


def services(request: Request) -> Services:
    """The services of the application this request came to."""
    found: Services = request.app.ctx.services
    return found
