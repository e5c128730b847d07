"""Only what the patterns spell out is valid: valid strings become part of Redis keys."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ApiError
from protocol.identifiers import check_device, check_stream_id, clean_mobile, is_message_id

INVISIBLE = [
    chr(mark)
    for first, last in (
        (0xAD, 0xAD),
        (0x61C, 0x61C),
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x2069),
        (0xFEFF, 0xFEFF),
    )
    for mark in range(first, last + 1)
]
SPACES = ["\u00a0", "\u2007", "\u2009", "\u202f", "\u3000"]
DASHES = ["\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2015", "\u2212", "\uff0d"]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("919876543210", "919876543210"),
        ("+91 98765-43210", "919876543210"),
        (" 919876543210", "919876543210"),
        ("(+91) [98765].43210", "919876543210"),
        ("1234567890", "1234567890"),
        ("123456789012345", "123456789012345"),
        ("0049 151 12345678", "4915112345678"),
        ("+44 (0)20 7946 0958", "442079460958"),
        ("44(0)2079460958", "442079460958"),
        ("(+44)(0)20 7946 0958", "442079460958"),
        ("+49 151/12345678", "4915112345678"),
        *((f"{mark}+91 98765{mark}43210{mark}", "919876543210") for mark in INVISIBLE),
        *((f"+91{space}98765{space}43210", "919876543210") for space in SPACES),
        *((f"+91 98765{dash}43210", "919876543210") for dash in DASHES),
    ],
)
def test_punctuation_is_dropped(raw: str, clean: str) -> None:
    assert clean_mobile(raw) == clean


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "+",
        "123456789",
        "1234567890123456",
        "++919876543210",
        "91+9876543210",
        "٩١٩٨٧٦٥٤٣٢١٠",
        "９１９８７６５４３２１０",
        "९१९८७६५४३२१०",
        "91987654321a",
        "{919876543210}",
        "91987:6543210",
        "919876543210\n",
        "919876543210\x00",
        "0919876543210",
        "09876543210",
        "+0919876543210",
        "0000919876543210",
        "+ +919876543210",
        "91\t9876543210",
        "-" * 60 + "919876543210",
    ],
)
def test_everything_else_is_a_bad_mobile(raw: str) -> None:
    with pytest.raises(ApiError) as caught:
        clean_mobile(raw)
    assert caught.value.code == "bad_mobile"


@given(st.text(max_size=80))
def test_any_text_becomes_digits_or_an_error(raw: str) -> None:
    try:
        clean = clean_mobile(raw)
    except ApiError:
        return
    assert 10 <= len(clean) <= 15
    assert set(clean) <= set(string.digits)
    assert clean[0] != "0"
    assert clean_mobile(clean) == clean


@pytest.mark.parametrize("good", ["a", "A-Z_0.9:x", "x" * 128, "+/9A==", "919800000001@s.whatsapp.net", 'a/b{c}"\\~!'])
def test_valid_message_ids(good: str) -> None:
    assert is_message_id(good)


@pytest.mark.parametrize("bad", ["", "x" * 129, "a b", " a", "a\n", "ü", "\x7f", "\x00", "１", "\xa0"])
def test_invalid_message_ids(bad: str) -> None:
    assert not is_message_id(bad)


def test_device_ids_are_stricter_than_message_ids() -> None:
    assert check_device("Pixel_8.pro-2") == "Pixel_8.pro-2"
    for bad in ("", "x" * 65, "a:b", "a b", "a\n", "ü", "{a}"):
        with pytest.raises(ApiError, match="bad_device"):
            check_device(bad)


@pytest.mark.parametrize(
    ("text", "pair"),
    [("1700000000000-0", (1700000000000, 0)), ("0-1", (0, 1)), (f"{2**64 - 1}-{2**64 - 1}", (2**64 - 1, 2**64 - 1))],
)
def test_stream_ids_compare_as_numbers(text: str, pair: tuple[int, int]) -> None:
    assert check_stream_id(text) == pair


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "*",
        "0-0",
        "1",
        "1-",
        "-1",
        "1-1-1",
        f"{2**64}-0",
        f"0-{2**64}",
        "1-*",
        "+",
        "$",
        ">",
        "1-1\n",
        "١-١",
        " 1-1",
        "0x1-1",
        "1e3-1",
    ],
)
def test_what_redis_would_read_otherwise_is_not_a_stream_id(bad: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_stream_id(bad)
    assert caught.value.code == "bad_stream_id"
