"""Numbers are identities: the region that completes them must not change once people have them."""

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
    """Remember the region; a change is taken only while nobody is enrolled.

    :raises RegionChanged: it differs from the one remembered and there are people
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
    """How many accounts have a number that begins with 0: earlier versions took it, and nobody can use it now."""
    return await User.filter(mobile_no__startswith="0").count()
