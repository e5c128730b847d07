"""Logging in and out, with the session events of it."""

from dataclasses import dataclass
from typing import Final

from accounts.directory import Directory
from accounts.events import Event, SessionEvents
from accounts.passwords import ORDINARY, Standing
from accounts.sessions import Sessions
from accounts.tokens import Claims
from models import EventKind, Session, User
from protocol.errors import ApiError

_FAILURES: Final = frozenset({"credentials_wrong", "too_many_devices"})
"""Errors that are about the client; others are about the server, and make no event."""


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a client logs in with. The mobile is canonical."""

    mobile: str
    password: str
    device_id: str
    device_name: str = ""


async def log_in(
    directory: Directory,
    sessions: Sessions,
    events: SessionEvents,
    given: Credentials,
    standing: Standing = ORDINARY,
) -> tuple[User, Session]:
    """Log in: the person and the new session. Writes an event either way.

    :param standing: the priority in the queue for a hash
    :raises ApiError: ``credentials_wrong``, ``too_many_devices``, ``bad_request``, ``busy``, ``unavailable``
    """
    try:
        user = await directory.authenticate(given.mobile, given.password, standing)
        session = await sessions.open(user, given.device_id, given.device_name)
    except ApiError as error:
        if error.code in _FAILURES:
            # Without the account: the time this takes must not reveal whether there is one.
            kind, device = EventKind.LOGIN_FAILED, given.device_id
            await events.write(Event(kind, given.mobile, device_id=device, reason=error.code))
        raise
    await events.write(
        Event(EventKind.LOGIN, user.mobile_no, str(user.id), str(session.id), device_id=session.device_id)
    )
    return user, session


async def log_out(sessions: Sessions, events: SessionEvents, claims: Claims) -> None:
    """Log out: the session ends on all servers.

    :raises ApiError: ``session_revoked``, ``unavailable``
    """
    await sessions.close(claims.session_id)
    await events.write(
        Event(EventKind.LOGOUT, claims.mobile, claims.account_id, claims.session_id, device_id=claims.device_id)
    )
