"""What a person hides from others."""

from dataclasses import astuple, replace
from typing import Any

from accounts.database import read
from accounts.rules import PRIVACY_COLUMNS, OnChange, change_rules, privacy_of
from accounts.shielded import run_shielded
from models import User
from protocol.errors import ApiError
from protocol.privacy import Privacy


class PrivacySettings:
    """:param on_change: called after each commit, see :func:`accounts.rules.change_rules`"""

    def __init__(self, on_change: OnChange) -> None:
        self._on_change = on_change

    async def get(self, mobile: str) -> Privacy:
        """:raises ApiError: ``no_such_person``, ``unavailable``"""
        user = await read(lambda: User.get_or_none(mobile_no=mobile))
        if user is None:
            raise ApiError("no_such_person")
        return privacy_of(user)

    async def change(self, mobile: str, changed: dict[str, Any]) -> Privacy:
        """Change some of the settings; returns all of them. May be repeated.

        :param changed: by the names of :class:`protocol.privacy.Privacy`
        :raises ApiError: ``no_such_person``, ``unavailable``
        """
        return await run_shielded(self._change(mobile, changed))

    async def _change(self, mobile: str, changed: dict[str, Any]) -> Privacy:
        made: list[Privacy] = []

        async def change(user: User) -> bool:
            before = privacy_of(user)
            after = replace(before, **changed)
            made.append(after)
            if after == before:
                return False
            user.update_from_dict(dict(zip(PRIVACY_COLUMNS, astuple(after), strict=True)))
            await user.save(update_fields=PRIVACY_COLUMNS)
            return True

        await change_rules(mobile, change, self._on_change)
        return made[0]
