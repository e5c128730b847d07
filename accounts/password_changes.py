"""A new password: stored together with the end of the sessions that must not go on."""

from contextlib import suppress
from dataclasses import dataclass

from accounts.database import transaction
from accounts.directory import Directory
from accounts.events import Event, SessionEvents
from accounts.passwords import ORDINARY, Passwords, Standing
from accounts.session_ends import ClosedSession, end_all
from accounts.sessions import Sessions
from accounts.shielded import run_shielded
from accounts.tokens import Claims
from models import EventKind, User
from protocol.errors import ApiError


@dataclass(frozen=True, slots=True)
class PasswordChanges:
    """Changes passwords. The caller has checked the new one (accounts/password_rules.py)."""

    directory: Directory
    passwords: Passwords
    sessions: Sessions
    events: SessionEvents

    async def change(self, claims: Claims, current: str, new: str, standing: Standing = ORDINARY) -> None:
        """All other sessions of the person end.

        :raises ApiError: ``password_wrong``, ``session_revoked`` (the account is gone), ``busy``, ``unavailable``
        """
        user = await self.directory.get(claims.account_id)
        hashed = await self.passwords.replace(current, user.password_hash, new, standing)
        if hashed is None:
            raise ApiError("password_wrong")
        await run_shielded(self._store(user, hashed, claims))

    async def reset(self, mobile: str, new: str, standing: Standing = ORDINARY) -> None:
        """All sessions of the person end. The caller has checked that the number is theirs.

        :param mobile: canonical
        :raises ApiError: ``no_such_person``, ``busy``, ``unavailable``
        """
        user = await self.directory.find(mobile)
        if user is None:
            raise ApiError("no_such_person")
        await run_shielded(self._store(user, await self.passwords.hash(new, standing), None))

    async def _store(self, user: User, hashed: str, claims: Claims | None) -> None:
        async with transaction():
            # With the hash that was checked: of two changes at once, the second one's password is not current any more.
            changed = User.filter(id=user.id, mobile_no=user.mobile_no)
            if claims is not None:
                changed = changed.filter(password_hash=user.password_hash)
            if not await changed.update(password_hash=hashed):
                raise ApiError("password_wrong" if claims is not None else "no_such_person")
            ended = await end_all(str(user.id), None if claims is None else claims.session_id)
        await self._tell(user, claims, ended)

    async def _tell(self, user: User, claims: Claims | None, ended: list[ClosedSession]) -> None:
        """The password is stored: what fails from here on must not look as if it were not."""
        kind = EventKind.PASSWORD_RESET if claims is None else EventKind.PASSWORD_CHANGED
        session_id, device_id = (None, "") if claims is None else (claims.session_id, claims.device_id)
        await self.events.write(Event(kind, user.mobile_no, str(user.id), session_id, device_id=device_id))
        with suppress(ApiError):  # it goes on in the background
            await self.sessions.announce(ended)
