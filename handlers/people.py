"""The person's own profile, and people found by their numbers."""

from msgspec import UNSET
from sanic import Request
from sanic.response import HTTPResponse

from accounts.mobile_numbers import canonical_mobile
from accounts.profiles import Profile
from accounts.tokens import Claims
from delivery.rate_limits import own_account
from handlers.answers import FieldError, FoundPeople, FoundPerson, OwnProfile
from handlers.authentication import authenticated
from handlers.lookups import most_lookups, take_lookups
from handlers.requests import PeopleLookup, ProfileChange, about_text, body, display_name, invalid_field
from handlers.responses import rfc3339, success
from handlers.services import services
from protocol.errors import ApiError


@authenticated
async def me(request: Request, claims: Claims) -> HTTPResponse:
    """``GET /v1/me``."""
    mine = services(request)
    await mine.limits.take(own_account(mine.settings), claims.account_id)
    return _own(await mine.profiles.get(claims.account_id), claims)


@authenticated
async def change_me(request: Request, claims: Claims) -> HTTPResponse:
    """``PATCH /v1/me``: what is not given stays."""
    mine, form = services(request), body(request, ProfileChange)
    name = None if form.name is UNSET else display_name(form.name)
    about = None if form.about is UNSET else about_text(form.about)
    await mine.limits.take(own_account(mine.settings), claims.account_id)
    return _own(await mine.profiles.change(claims.account_id, name=name, about=about), claims)


@authenticated
async def look_up(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /v1/people/lookup``: those of an address book who have an account. Blocks play no part in it.

    Numbers that cannot be read are reported beside the others: an address book always has some.
    """
    mine, form = services(request), body(request, PeopleLookup)
    most = most_lookups(mine.settings)
    if not 1 <= len(form.mobile_nos) <= most:
        raise invalid_field("mobileNos", f"mobileNos takes 1 to {most} numbers")
    numbers, errors = _read_numbers(form.mobile_nos, mine.settings.default_region)
    await take_lookups(request, claims, max(1, len(numbers)))
    found = await mine.profiles.look_up(list(numbers))
    data = [
        FoundPerson(index=index, mobile_no=mobile, name=found[mobile].name, about=found[mobile].about or UNSET)
        for mobile, index in numbers.items()
        if mobile in found
    ]
    return success(FoundPeople(data=data, errors=errors or UNSET))


def _read_numbers(raw: list[str], region: str) -> tuple[dict[str, int], list[FieldError]]:
    """Each number that can be read and its first place, in order; and what is wrong with the others. Never raises."""
    numbers, errors = dict[str, int](), list[FieldError]()
    for index, text in enumerate(raw):
        try:
            numbers.setdefault(canonical_mobile(text, region), index)
        except ApiError as error:
            message = error.errors[0]["message"] if error.errors else error.message
            errors.append(FieldError(f"mobileNos[{index}]", message))
    return numbers, errors


def _own(profile: Profile, claims: Claims) -> HTTPResponse:
    return success(
        OwnProfile(
            id=profile.account_id,
            name=profile.name,
            about=profile.about,
            mobile_no=profile.mobile,
            device_id=claims.device_id,
            created_at=rfc3339(profile.created_at),
        )
    )
