"""One number is one identity, however it is written, and what the server returns is read as the same number."""

import phonenumbers
import pytest
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from accounts.mobile_numbers import canonical_mobile, new_mobile
from protocol.errors import ApiError

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
CAREFUL = ["IN", "US", "GB", "DE", "BR", "ID", "NG", "FR"]
TYPES = [kind for kind in PhoneNumberType.values() if kind != PhoneNumberType.UNKNOWN]
MOBILE = PhoneNumberType.MOBILE


def digits_of(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:]


def _examples(region: str, types: list[int]) -> list[PhoneNumber]:
    """What phonenumbers gives as examples and this product takes: some small countries have fewer than 10 digits."""
    found = (phonenumbers.example_number_for_type(region, kind) for kind in types)
    return [number for number in found if number is not None and 10 <= len(digits_of(number)) <= 15]


MOBILES = sorted({digits_of(number) for region in REGIONS for number in _examples(region, [MOBILE])})
OTHERS = sorted({digits_of(number) for region in REGIONS for number in _examples(region, TYPES)} - set(MOBILES))


@pytest.mark.parametrize("region", REGIONS)
def test_each_number_of_a_region_is_reversible_and_found_as_people_write_it(region: str) -> None:
    for number in _examples(region, TYPES):
        mobile = digits_of(number)
        written = {
            "the digits given out": mobile,
            "with a plus": f"+{mobile}",
            "with 00": f"00{mobile}",
            "international": phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL),
            "national": phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL),
        }
        assert {how: canonical_mobile(raw, region) for how, raw in written.items()} == dict.fromkeys(written, mobile)
        assert new_mobile(mobile, region) == mobile


@pytest.mark.parametrize("region", REGIONS)
def test_each_mobile_of_the_world_is_reversible_in_each_region(region: str) -> None:
    assert len(MOBILES) > 200
    # A twelfth of them where it takes too long otherwise; another twelfth in the next region.
    some = MOBILES if region in CAREFUL else MOBILES[REGIONS.index(region) % 12 :: 12]
    assert [mobile for mobile in some if canonical_mobile(mobile, region) != mobile] == []


@pytest.mark.parametrize("region", CAREFUL)
def test_each_mobile_of_the_world_is_valid_with_a_plus(region: str) -> None:
    assert [mobile for mobile in MOBILES if canonical_mobile(f"+{mobile}", region) != mobile] == []


@pytest.mark.parametrize("region", CAREFUL)
def test_any_other_number_is_reversible_or_an_error(region: str) -> None:
    refused = 0
    some = OTHERS[CAREFUL.index(region) % 2 :: 2]  # the other half in the next region
    for mobile in some:
        try:
            canonical = canonical_mobile(f"+{mobile}", region)
        except ApiError:
            refused += 1
            continue
        assert (canonical, canonical_mobile(canonical, region)) == (mobile, mobile)
        assert canonical_mobile(f"00{mobile}", region) == mobile
    assert refused < len(some) / 10


@pytest.mark.parametrize(("part", "region"), list(enumerate(["", "IN", "US", "DE"])))
def test_every_result_is_reversible_even_of_impossible_numbers(part: int, region: str) -> None:
    taken = 0
    for mobile in [*MOBILES, *OTHERS][part % 2 :: 2]:
        for raw in (
            mobile[:-1],
            mobile + "7",
            mobile[2:],
            f"0{mobile[2:]}",
            f"+{mobile[:-1]}",
            f"{mobile[1:4]} {mobile}",
        ):
            try:
                canonical = canonical_mobile(raw, region)
            except ApiError:
                continue
            taken += 1
            assert canonical_mobile(canonical, region) == canonical, raw
    assert taken > 100


@pytest.mark.parametrize(
    "raw",
    [
        "919876543210",
        "+919876543210",
        "+91 98765-43210",
        "98765 43210",
        "9876543210",
        "098765 43210",
        "(+91) 98765.43210",
        "0091 98765 43210",
        "+91 (0)98765 43210",
        "91 (0)98765 43210",
        "\u202a+91\u00a098765\u201143210\u202c",
        "\ufeff98765\u202f43210",
        "098765/43210",
    ],
)
def test_with_a_region_all_spellings_are_one(raw: str) -> None:
    assert canonical_mobile(raw, "IN") == "919876543210"


@pytest.mark.parametrize(
    ("raw", "region", "mobile"),
    [
        ("(212) 555-0123", "US", "12125550123"),
        ("212-555-0123", "US", "12125550123"),
        ("2125550123", "US", "12125550123"),
        ("1 212 555 0123", "US", "12125550123"),
        ("07911 123456", "GB", "447911123456"),
        ("7911123456", "GB", "447911123456"),
        ("0151/12345678", "DE", "4915112345678"),
        ("(0)151 12345678", "DE", "4915112345678"),
        ("(11) 98765-4321", "BR", "5511987654321"),
        ("11987654321", "BR", "5511987654321"),
        ("0812 3456 7890", "ID", "6281234567890"),
        ("81234567890", "ID", "6281234567890"),
        ("0803 123 4567", "NG", "2348031234567"),
        ("06 12 34 56 78", "FR", "33612345678"),
        ("06 6981 2345", "IT", "390669812345"),
        ("+39 (0)6 6981 2345", "US", "390669812345"),
        ("+39 (0)6 6981 2345", "", "390669812345"),
        ("0011 49 151 12345678", "AU", "4915112345678"),
        ("011 49 151 12345678", "US", "4915112345678"),
        ("0049 151 12345678", "US", "4915112345678"),
    ],
)
def test_national_writing_is_understood(raw: str, region: str, mobile: str) -> None:
    assert canonical_mobile(raw, region) == mobile


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        ("4915112345678", "DE"),
        ("12025550123", "IN"),
        ("919876543210", "US"),
        ("919876543210", "GB"),
        ("6591234567", "US"),
        ("6592345678", "US"),
        ("628123456789", "ID"),
    ],
)
def test_digits_that_are_a_number_as_they_stand_are_that_number(raw: str, region: str) -> None:
    assert canonical_mobile(raw, region) == raw


def test_national_writing_wins_over_a_foreign_number_with_the_same_digits() -> None:
    assert canonical_mobile("(659) 234-5678", "US") == "16592345678"
    assert canonical_mobile("6592345678", "US") == canonical_mobile("+65 9234 5678", "US") == "6592345678"


def test_digits_of_two_countries_cannot_be_enrolled() -> None:
    with pytest.raises(ApiError) as caught:
        new_mobile("6592345678", "US")
    assert caught.value.code == "bad_mobile"
    assert caught.value.errors == [
        {
            "field": "mobileNo",
            "message": "These digits may be a number of two countries: write it with + and its country code",
        }
    ]
    assert new_mobile("+65 9234 5678", "US") == "6592345678"
    assert new_mobile("+1 659 234 5678", "US") == "16592345678"
    assert new_mobile("6592345678", "") == "6592345678"


def test_a_landline_abroad_does_not_take_the_digits_of_a_mobile_at_home() -> None:
    assert canonical_mobile("9611234567", "IN") == "919611234567"
    with pytest.raises(ApiError, match="bad_mobile"):
        canonical_mobile("+961 1 234567", "IN")
    assert canonical_mobile("+961 1 234567", "DE") == "9611234567"


def test_without_a_region_the_digits_stay_as_given() -> None:
    assert canonical_mobile("98765 43210", "") == "9876543210"
    assert canonical_mobile("0091 98765 43210", "") == "919876543210"


@pytest.mark.parametrize(
    "raw", ["09876543210", "0919876543210", "+0919876543210", "0000919876543210", "0 0 0 9876543210"]
)
def test_no_identity_begins_with_zero(raw: str) -> None:
    with pytest.raises(ApiError) as caught:
        canonical_mobile(raw, "")
    assert caught.value.code == "bad_mobile"
    assert "with its country code, without a 0 in front" in caught.value.message


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "   ",
        "+",
        "00",
        "\u200b",
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
        "++919876543210",
        "tel:+919876543210",
        "{9876543210}",
        "98765\u20d243210",
    ],
)
@pytest.mark.parametrize("region", ["", "IN"])
def test_what_is_not_a_number_is_an_error(raw: str, region: str) -> None:
    with pytest.raises(ApiError) as caught:
        canonical_mobile(raw, region)
    assert caught.value.code == "bad_mobile"
