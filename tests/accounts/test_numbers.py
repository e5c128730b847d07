"""One number, one identity, however it is written."""

import pytest

from accounts.numbers import canonical_mobile
from protocol.refusals import Refusal


@pytest.mark.parametrize(
    "raw", ["919876543210", "+919876543210", "+91 98765-43210", "98765 43210", "098765 43210", "(+91) 98765.43210"]
)
def test_with_a_region_all_spellings_are_one(raw: str) -> None:
    assert canonical_mobile(raw, "IN") == "919876543210"


def test_a_number_of_another_country_keeps_its_own() -> None:
    assert canonical_mobile("+49 170 1234567", "IN") == "491701234567"


def test_without_a_region_the_digits_are_taken_as_given() -> None:
    assert canonical_mobile("98765 43210", "") == "9876543210"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "12345",
        "1-800-FLOWERS99",
        "98765 43210 ext 5",
        "9876543210;ext=5",
        "٩٨٧٦٥٤٣٢١٠",
        "９８７６５４３２１０",
        "9876543210\n",
        "98765\x0043210",
        "+" * 40 + "9876543210",
        "9" * 65,
        "+91+9876543210",
        "tel:+919876543210",
        "{9876543210}",
    ],
)
@pytest.mark.parametrize("region", ["", "IN"])
def test_whatever_is_no_number_is_refused(raw: str, region: str) -> None:
    with pytest.raises(Refusal) as caught:
        canonical_mobile(raw, region)
    assert caught.value.code == "bad_mobile"
