"""The default region. It is part of how numbers are read, so it must not change once people are enrolled."""

from typing import Final

from models.meta import Meta
from models.user import User

KEY: Final = "default_region"


class RegionChanged(Exception):
    """``DEFAULT_REGION`` is not the one under which the people of this database were enrolled."""

    def __init__(self, stored: str, wanted: str) -> None:
        super().__init__(
            f"DEFAULT_REGION is {wanted or '(empty)'}, but the people in this database were enrolled with"
            f" {stored or '(empty)'}: their numbers would no longer be found. Set DEFAULT_REGION back."
        )


async def settle_region(wanted: str) -> None:
    """Store the region; it may change only while nobody is enrolled.

    :raises RegionChanged: it differs from the stored one, and there are people
    """
    row = await Meta.get_or_none(key=KEY)
    if row is None:
        await Meta.create(key=KEY, value=wanted)
    elif row.value != wanted:
        if await User.exists():
            raise RegionChanged(row.value, wanted)
        row.value = wanted
        await row.save()


async def numbers_with_zero() -> int:
    """How many accounts have a number that begins with 0. Earlier versions accepted these; they cannot log in now."""
    return await User.filter(mobile_no__startswith="0").count()
