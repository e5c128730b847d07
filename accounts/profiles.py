"""What a person says of themselves, and what others find of them by their number."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.database import read, transaction
from models import User
from protocol.errors import ApiError


@dataclass(frozen=True, slots=True)
class Profile:
    """A person as they see themselves."""

    account_id: str
    name: str
    about: str
    mobile: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FoundPerson:
    """A person as somebody finds them who knows their number."""

    mobile: str
    name: str
    about: str


class Profiles:
    """Reads and changes profiles. Names and abouts are clean (:mod:`protocol.text`), numbers canonical."""

    async def get(self, account_id: str) -> Profile:
        """:raises ApiError: ``session_revoked`` (there is no such account any more), ``unavailable``"""
        return _profile(await read(lambda: User.get_or_none(id=account_id)))

    async def change(self, account_id: str, *, name: str | None = None, about: str | None = None) -> Profile:
        """Change what is given; what is None stays.

        :raises ApiError: ``session_revoked`` (there is no such account any more), ``unavailable``
        """
        changes: dict[str, Any] = {"name": name, "about": about}
        changes = {field: value for field, value in changes.items() if value is not None}
        if changes:
            async with transaction():
                await User.filter(id=account_id).update(**changes)
        return await self.get(account_id)

    async def look_up(self, mobiles: list[str]) -> dict[str, FoundPerson]:
        """Those of these numbers that somebody has, in one query.

        :raises ApiError: ``unavailable``
        """
        if not mobiles:
            return {}
        people = User.filter(mobile_no__in=mobiles)
        rows = await read(lambda: people.values_list("mobile_no", "name", "about"))
        return {mobile: FoundPerson(mobile, name, about) for mobile, name, about in rows}


def _profile(user: User | None) -> Profile:
    if user is None:
        raise ApiError("session_revoked")
    return Profile(str(user.id), user.name, user.about, user.mobile_no, user.created_at)
