"""What comes after the question mark."""

from urllib.parse import parse_qsl

from sanic import Request

from accounts.mobile_numbers import canonical_mobile
from handlers.services import services
from protocol.errors import ApiError


def read_query(text: str) -> dict[str, str]:
    """What comes after the question mark: each name once, without control characters.

    :raises ApiError: ``bad_request``
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError:  # not UTF-8, or too many
        raise ApiError("bad_request") from None
    found = dict(pairs)
    if len(found) < len(pairs) or any(not value.isprintable() for value in found.values()):
        raise ApiError("bad_request")
    return found


def query_mobile(request: Request) -> str:
    """The canonical ``mobileNo`` of the query.

    :raises ApiError: ``bad_request``, ``bad_mobile``
    """
    raw = read_query(request.query_string).get("mobileNo")
    if raw is None:
        raise ApiError("bad_request", [{"field": "mobileNo", "message": "mobileNo is missing"}])
    # A plus that was not written as %2B arrives as a space.
    raw = "+" + raw[1:] if raw.startswith(" ") else raw
    return canonical_mobile(raw, services(request).settings.default_region)
