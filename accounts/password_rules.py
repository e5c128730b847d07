"""Which passwords may be chosen: the one place for sign-up, change and reset."""

from typing import Final

from accounts.common_passwords import is_forbidden
from accounts.passwords import fits, normalised
from protocol.errors import ApiError

MIN_LENGTH: Final = 6
"""Characters."""

_FORBIDDEN: Final = (
    "is too easy to guess: not your own number, one repeated character, or one of the commonest passwords"
)
_WRONG_SIZE: Final = f"is a string of at least {MIN_LENGTH} characters and at most 72 bytes in UTF-8"


def check_new_password(password: str, mobile: str, field: str = "password") -> None:
    """Return if this person may choose this password.

    :param mobile: canonical
    :param field: what the request calls the password
    :raises ApiError: ``bad_request``, which names the field
    """
    if not fits(password) or len(normalised(password)) < MIN_LENGTH:
        raise _refused(field, _WRONG_SIZE)
    if is_forbidden(normalised(password), mobile):
        raise _refused(field, _FORBIDDEN)


def _refused(field: str, why: str) -> ApiError:
    return ApiError("bad_request", [{"field": field, "message": f"{field} {why}"}])
