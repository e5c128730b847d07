"""Names that can be seen and told apart, in every script; and texts that show something."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.text import MAX_ABOUT, clean_about, clean_name, shows_nothing

NAMES = [
    "O'Neil-Ñandú 3",
    "T.J. O’Brien",
    "Nguyễn Thị Hồng Hạnh",
    "Ọláńrewájú Ẹ̀kọ́",
    "i̇̀ i̇́ Lietuva",
    "Pe̍h-ōe-jī o͘",
    "Łukasz Żółć",
    "Александр",
    "Γιώργος",
    "Иван Smith",
    "Иван-John",
    "Հայկ",
    "მარიამ",
    "שָׁלוֹם",
    "בְּרֵאשִׁ֖ית",
    "מֹשֶׁה בֶּן־מַיְמוֹן",
    "مُحَمَّدٌ",
    "ٱللَّٰه",
    "ﻣﺤﻤﺪ",
    "می\u200cخواهم",
    "ܣܘܪܝܝܐ",
    "ދިވެހި",
    "अनुराधा",
    "श्री\u200dमान",
    "क्\u200dष लक्ष्मी",
    "র\u200d্যাব",
    "രമേശന്\u200d",
    "ශ්\u200dරී ලංකා",
    "தமிழ்",
    "ਪੰਜਾਬੀ",
    "ଓଡ଼ିଆ",
    "తెలుగు",
    "สมหญิง น้ำผึ้ง",
    "ก็ดี ที่รัก",
    "ລາວ ທ່ານ",
    "བསྟན་འཛིན་རྒྱ་མཚོ",
    "ཧཱུྃ་ཨོཾ་",
    "မွှို့ကြွေး",
    "ខ្មែរ សុខា",
    "ᠮᠣᠩᠭᠣᠯ",
    "አበበ ቢቂላ",
    "한국어 이름",
    "愛子さん",
    "葛\U000e0100飾区",
    "\U00031350\U0002ebf0\U00020000",
    "👩\u200d👩\u200d👧 Roy",
    "❤\ufe0f❤\ufe0f❤\ufe0f",
    "👨🏽\u200d⚕\ufe0f Doc",
    "🏳\ufe0f\u200d🌈 pride",
    "1\ufe0f\u20e3 One",
    "\U0001fa77\U0001fae8\U0001fae9",
    "🇮🇳 Asha",
    "𝓐𝓼𝓱𝓪",
    "<img onerror>",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_script_are_acceptable(name: str) -> None:
    assert clean_name(name) == unicodedata.normalize("NFC", name)
    assert clean_name(unicodedata.normalize("NFD", name)) == unicodedata.normalize("NFC", name)


def test_a_name_is_normalised() -> None:
    assert clean_name("  Zoe\u0301 ") == "Zoé"
    assert clean_name("山田\u3000太郎") == "山田 太郎"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "  a  ",
        "x" * 65,
        # invisible
        "\u200b\u200babc",
        "\u00adabc",
        "abc\u00ad",
        "\ufeffabc",
        "abc\u2060",
        "ab\u034fc",
        "\u3164abc",
        "\u2800abc",
        "ab\u17b4c",
        "abc\u180e",
        "abc\U0001bca0",
        "a\u200dbc",
        "abc\u200c",
        "\u200dabc",
        "abc\ufe0f",
        "A\ufe0fbc",
        "愛\U000e0100\U000e0100子",
        "\U000e0061\U000e0062\U000e0063abc",
        # turning the direction of writing
        "abc\u202edef",
        "abc\u200e",
        "a\u061cbc",
        # spaces that look like one
        "abc\u00a0def",
        "abc\u2003def",
        "abc\u2007def",
        "abc\u202fdef",
        "ab\u3000cd",
        "ab\u2028cd",
        "a\nbc",
        # no characters, or nobody's
        "abc\uffff",
        "abc\ufffe",
        "abc\ufdd0",
        "abc\U0001fffe",
        "abc\U0002ffff",
        "abc\ue000",
        "abc\U000f0000",
        "abc\u0378",
        "abc\ufff9",
        "abc\u0605",
        "abc\U00013430",
        # marks alone, and piles of them
        "\u0301\u0301\u0301",
        "\u0302\u0301\u0300",
        "\u0301abc",
        "abc \u0301",
        "a\u0301\u0302\u0303\u0304" * 12,
        "x\u0301\u0302\u0303yz",
        "Z\u0323\u0300\u0316\u0301algo",
        "ก็็็็",
        "\u05e9\u05b0\u05c1\u05b4\u05bc\u05bd\u0596abc",
        "a\u20dd\u20ddbc",
        "a\u20e3bc",
        # letters that look like those of the rest of the word
        "Аdmin",
        "Раypal",
        "аdmin Asha",
        "Αsha",
        "Asha\u0430 1",
        "Ꭺsha",
    ],
)
def test_names_that_hide_or_deceive_are_not_acceptable(name: str) -> None:
    assert clean_name(name) is None


@given(st.text(max_size=70))
def test_a_clean_name_stays_as_it_is(name: str) -> None:
    clean = clean_name(name)
    assert clean is None or clean_name(clean) == clean


def test_each_single_character_shows_something_in_a_clean_name() -> None:
    # The planes between have no characters, or private ones.
    for code in (*range(0x20000), *range(0xE0000, 0xE1000), sys.maxunicode):
        if not 0xD800 <= code < 0xE000 and clean_name(f"ab{chr(code)}c") == f"ab{chr(code)}c":
            assert code == 0x20 or not shows_nothing(chr(code)), hex(code)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\u200b",
        "\u200b" * 5461,
        "\u200d\u200c\u2060\ufeff",
        "\u00ad",
        "\u00a0",
        " \u200b\n",
        "\u202e\u2066\u2069",
        "\u3164",
        "\u115f\u1160\uffa0",
        "\u2800\u2800",
        "\ufe0f",
        "\u034f",
        "\u2028",
        "\U000e0061\U000e0020",
        "\U000e0100",
        "\U0001d159",
        "\uffff",
        "\U0010ffff",
    ],
)
def test_a_text_of_invisible_characters_shows_nothing(text: str) -> None:
    assert shows_nothing(text)


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        " ",
        "\n",
        "\t \n",
        ".",
        "\x00",
        "é",
        "नमस्ते",
        "\u200bx",
        "\u3164x",
        "❤\ufe0f",
        "\u0301",
        "👍",
        "\u200f\u05d0",
        "\ue000",
        "\ufffd",
    ],
)
def test_all_other_texts_show_something(text: str) -> None:
    assert not shows_nothing(text)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_shows_something(name: str) -> None:
    assert not shows_nothing(name)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_name_may_be_may_be_said_of_oneself(name: str) -> None:
    assert clean_about(name) == clean_name(name)


def test_an_about_is_one_line_of_any_scripts_or_nothing() -> None:
    assert clean_about("") == clean_about(" \u00a0 ") == ""
    assert clean_about("Москва→Delhi, iPhоne mit о\u202f!") == "Москва→Delhi, iPhоne mit о !"
    assert clean_about("x" * MAX_ABOUT) == "x" * MAX_ABOUT
    assert clean_about("e\u0301" * MAX_ABOUT) == "é" * MAX_ABOUT, "counted in NFC"
    for bad in (
        "x" * (MAX_ABOUT + 1),
        "a\nb",
        "a\tb",
        "a\u2028b",
        "a\u200eb",
        "a\u2066b",
        "a\u200bb",
        "\ufeff",
        "a\ue000",
    ):
        assert clean_about(bad) is None


@given(st.text(max_size=200))
def test_a_clean_about_stays_as_it_is(text: str) -> None:
    clean = clean_about(text)
    assert clean is None or clean_about(clean) == clean
