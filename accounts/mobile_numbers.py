"""From a number as a person types it to the digits that identify an account.

With a default region, digits alone may be two numbers: one that begins with its country code, and one of the region
without it. :func:`canonical_mobile` prefers the first, so that a number the server returned is read as the same one:
``docs/decisions/0020-read-back-every-number-given-out.md``.
"""

import re
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from protocol.errors import ApiError
from protocol.identifiers import clean_mobile, plain_writing

_PLAIN: Final = re.compile(r"[ (\[]*\+?[0-9 \-.()\[\]/]+\Z")
_TRUNK_ZERO: Final = re.compile(r"(?<=[0-9])[ \-.\])]*\(0\)")
_ABROAD: Final = re.compile(r"[ (\[]*\+|[ (\[]*00(?=[^0])")
_MOBILE: Final = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_NOT_REVERSIBLE: Final = "This number cannot be used here: its digits are those of another number as well"
_AMBIGUOUS: Final = "These digits may be a number of two countries: write it with + and its country code"


def canonical_mobile(raw: str, region: str) -> str:
    """10 to 15 ASCII digits, the same for every way of writing one number. The digits are read as themselves.

    :param region: two capital letters: the country of numbers written without one; empty: the digits as given
    :raises ApiError: ``bad_mobile``
    """
    text = plain_writing(raw)
    if not region:
        return clean_mobile(_with_trunk_zero_resolved(text))
    digits = clean_mobile(_read(text, region))
    # Clients get these digits. If they were read as another number, clients could not use them.
    if digits != text and _read(digits, region) != digits:
        raise ApiError("bad_mobile", [{"field": "mobileNo", "message": _NOT_REVERSIBLE}])
    return digits


def new_mobile(raw: str, region: str) -> str:
    """:func:`canonical_mobile` for a new account: digits that may be two numbers are an error.

    :raises ApiError: ``bad_mobile``
    """
    mobile = canonical_mobile(raw, region)
    if region and plain_writing(raw) == mobile and _is_foreign(mobile, region):
        own = _parse(mobile, region)
        if own is not None and _is_mobile(own) and _digits(own) != mobile:
            raise ApiError("bad_mobile", [{"field": "mobileNo", "message": _AMBIGUOUS}])
    return mobile


def _read(text: str, region: str) -> str:
    # phonenumbers accepts more than digits: letters of vanity numbers, "ext. 5".
    if not _PLAIN.match(text):
        raise ApiError("bad_mobile")
    own = None if "+" in text else _parse(text, region)
    if abroad := _ABROAD.match(text):
        # Some countries have another prefix than 00: ``own`` handles those (0011 in Australia, 001 in Korea).
        found = _first_valid(_parse("+" + text[abroad.end() :]), own)
    elif text.isdigit() and text[0] != "0":
        found = _read_digits(text, region, own)
    elif _TRUNK_ZERO.search(text):
        found = _first_valid(_parse("+" + text), own)
    else:
        # A leading zero or punctuation: a national number.
        found = _first_valid(own, None if text[0] == "0" else _parse("+" + text))
    if found is None:
        raise ApiError("bad_mobile")
    return _digits(found)


def _read_digits(digits: str, region: str, own: PhoneNumber | None) -> PhoneNumber | None:
    """The reading of digits without zero, plus or punctuation in front: international, if that is valid."""
    foreign = _parse("+" + digits)
    exact = foreign if foreign is not None and _digits(foreign) == digits else None
    if exact is not None and phonenumbers.is_valid_number(exact):
        # A foreign landline does not take precedence over a mobile number of the region.
        own_wins = _is_foreign(digits, region) and not _is_mobile(exact) and own is not None and _is_mobile(own)
        return own if own_wins else exact
    if exact is not None and not _is_foreign(digits, region):
        # Not in the tables; and the server returns such digits for a number of the region that is not in them.
        return _first_valid(None if own is None or not phonenumbers.is_valid_number(own) else own, exact)
    return _first_valid(own, foreign)


def _first_valid(first: PhoneNumber | None, second: PhoneNumber | None) -> PhoneNumber | None:
    """The first that is valid; else the first that is possible: the tables of ranges are never complete."""
    for good in (phonenumbers.is_valid_number, phonenumbers.is_possible_number):
        for number in (first, second):
            if number is not None and good(number):
                return number
    return None


def _with_trunk_zero_resolved(text: str) -> str:
    """``(0)`` after a country code is dropped, unless it belongs to the number (Italy)."""
    without = _TRUNK_ZERO.sub("", text)
    if without != text:
        kept = _parse("+" + text.lstrip(" ([+"))
        dropped = _parse("+" + without.lstrip(" ([+"))
        if kept and phonenumbers.is_valid_number(kept) and not (dropped and phonenumbers.is_valid_number(dropped)):
            return _digits(kept)
    return without


def _parse(text: str, region: str | None = None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _digits(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:]


def _is_mobile(number: PhoneNumber) -> bool:
    return phonenumbers.number_type(number) in _MOBILE


def _is_foreign(digits: str, region: str) -> bool:
    return not digits.startswith(str(phonenumbers.country_code_for_region(region)))
