"""Logging in, refreshing, logging out, and ending sessions: each with the session events of it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from accounts.database import transaction
from accounts.directory import Directory
from accounts.events import Event, SessionEvents
from accounts.passwords import ORDINARY, Standing
from accounts.refreshing import Allow, Reused
from accounts.session_ends import ClosedSession, end_all, end_device
from accounts.session_opening import Grant, Opened
from accounts.sessions import Sessions
from accounts.shielded import run_shielded
from accounts.tokens import Claims
from models import EventKind
from protocol.errors import ApiError

_FAILURES: Final = frozenset({"credentials_wrong", "too_many_devices"})
"""Errors that are about the client; others are about the server, and make no event."""


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a client logs in with. The mobile is canonical.

    :param replaced_device: a device that is unlinked to make room; None: none
    """

    mobile: str
    password: str
    device_id: str
    device_name: str = ""
    replaced_device: str | None = None


async def log_in(
    directory: Directory,
    sessions: Sessions,
    events: SessionEvents,
    given: Credentials,
    standing: Standing = ORDINARY,
) -> Opened:
    """Log in on a device. Writes an event either way.

    :param standing: the priority in the queue for a hash
    :raises ApiError: ``credentials_wrong``, ``too_many_devices``, ``bad_request``, ``busy``, ``unavailable``
    """
    try:
        user = await directory.authenticate(given.mobile, given.password, standing)
        opened = await sessions.open(user, given.device_id, given.device_name, given.replaced_device)
    except ApiError as error:
        if error.code in _FAILURES:
            # Without the account: the time this takes must not reveal whether there is one.
            kind, device = EventKind.LOGIN_FAILED, given.device_id
            await events.write(Event(kind, given.mobile, device_id=device, reason=error.code))
        raise
    return await run_shielded(_logged_in(sessions, events, opened))


async def _logged_in(sessions: Sessions, events: SessionEvents, opened: Opened) -> Opened:
    grant = opened.grant
    ended = [*opened.replaced, *opened.surplus]
    if ended:
        with suppress(ApiError):  # it goes on in the background, and the client is logged in
            await sessions.announce(ended)
    if opened.replaced:
        await events.write(_unlinked(opened.replaced[0], grant.session_id, "replaced"))
    await events.write(
        Event(EventKind.LOGIN, grant.mobile, grant.account_id, grant.session_id, device_id=grant.device_id)
    )
    return opened


async def refresh(sessions: Sessions, events: SessionEvents, token: str, allow: Allow) -> Grant:
    """A session's next tokens. A token that had been replaced ends the session, which is an event.

    :raises ApiError: ``refresh_invalid``, ``refresh_reused``, ``session_revoked``, ``token_expired``,
        ``too_many_devices``, ``rate_limited``, ``unavailable``
    """
    try:
        return await sessions.refresh(token, allow)
    except Reused as reused:
        await run_shielded(_end_reused(sessions, events, reused))
        raise ApiError("refresh_reused" if reused.first else "session_revoked") from None


async def _end_reused(sessions: Sessions, events: SessionEvents, reused: Reused) -> None:
    if reused.first:
        await events.write(_event(EventKind.REFRESH_REUSED, reused.closed))
    await sessions.announce([reused.closed])


async def log_out(sessions: Sessions, events: SessionEvents, claims: Claims) -> None:
    """Log out: the session ends on all servers.

    :raises ApiError: ``session_revoked``, ``unavailable``
    """
    await sessions.close(claims.session_id, note=lambda closed: events.write(_event(EventKind.LOGOUT, closed)))


async def log_out_everywhere(
    sessions: Sessions, events: SessionEvents, claims: Claims, *, this_too: bool
) -> Sequence[ClosedSession]:
    """End all sessions of the person, but for this one; or this one, too.

    :returns: those that ended
    :raises ApiError: ``unavailable``
    """

    async def end() -> Sequence[ClosedSession]:
        async with transaction():
            ended = await end_all(claims.account_id, None if this_too else claims.session_id)
        await events.write(_mine(EventKind.LOGOUT_ALL, claims))
        await sessions.announce(ended)
        return ended

    return await run_shielded(end())


async def end_session(sessions: Sessions, events: SessionEvents, claims: Claims, session_id: str) -> None:
    """End one of the person's sessions. May be repeated.

    :raises ApiError: ``not_found``, ``unavailable``
    """

    try:
        await sessions.close(
            session_id, claims.account_id, lambda closed: events.write(_event(EventKind.SESSION_ENDED, closed))
        )
    except ApiError as error:
        raise ApiError("not_found") if error.code == "session_revoked" else error from None


async def unlink_device(sessions: Sessions, events: SessionEvents, claims: Claims, device_id: str) -> bool:
    """End all sessions of one of the person's devices; whether there were any.

    :raises ApiError: ``unavailable``
    """

    async def unlink() -> bool:
        async with transaction():
            ended = await end_device(claims.account_id, device_id)
        if ended:
            await events.write(_unlinked(ended[0], claims.session_id))
        await sessions.announce(ended)
        return bool(ended)

    return await run_shielded(unlink())


def _event(kind: EventKind, closed: ClosedSession) -> Event:
    return Event(kind, closed.mobile, closed.account_id, closed.session_id, device_id=closed.device_id)


def _mine(kind: EventKind, claims: Claims) -> Event:
    return Event(kind, claims.mobile, claims.account_id, claims.session_id, device_id=claims.device_id)


def _unlinked(closed: ClosedSession, by_session: str, reason: str = "") -> Event:
    kind = EventKind.DEVICE_UNLINKED
    return Event(kind, closed.mobile, closed.account_id, by_session, device_id=closed.device_id, reason=reason)
