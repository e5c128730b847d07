"""From what a person types to the digits that are his identity."""

import re
from typing import Final

import phonenumbers

from protocol.identifiers import clean_mobile
from protocol.refusals import Refusal

_PLAIN: Final = re.compile(r"[ (\[]*\+?[0-9 \-.()\[\]]+\Z")


def canonical_mobile(raw: str, region: str) -> str:
    """10 to 15 ASCII digits, the same for every way of writing one number.

    :param region: two capital letters: the country of numbers written without one; empty: the digits as given
    :raises Refusal: ``bad_mobile``
    """
    if not region:
        return clean_mobile(raw)
    # phonenumbers reads much more than digits: other scripts, letters of vanity numbers, "ext. 5".
    if len(raw) > 64 or not _PLAIN.match(raw):
        raise Refusal("bad_mobile")
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        raise Refusal("bad_mobile") from None
    if not phonenumbers.is_possible_number(number):
        raise Refusal("bad_mobile")
    return clean_mobile(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
