"""Which names and chat texts are acceptable."""

import re
import unicodedata
from typing import Final

# By Unicode's Default_Ignorable_Code_Point, with control characters, white space, noncharacters and the empty
# Braille cell: none of these shows anything by itself.
_NOTHING: Final = (
    "\\x00-\\x20\\x7f-\\xa0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u2800\u3000\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
)
_FILLERS: Final = "\u115f\u1160\u3164\uffa0"  # letters by category
_something: Final = re.compile(f"[^{_NOTHING}]").search
# Invisible, and able to turn the writing direction of everything around them.
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

MAX_ACCENTS: Final = 2
"""Marks of no script on one letter, those of NFC's letters not counted. Lithuanian and Min Nan need two."""
MAX_MARKS: Final = 5
"""Nonspacing marks on one letter: Burmese has five, pointed Hebrew four, Tibetan, Thai and Arabic three."""
# Letters of one of these look like letters of the others (UTS 39).
_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU"})
_ZWNJ, _ZWJ, _KEYCAP = "\u200c", "\u200d", "\u20e3"
_VIRAMA: Final = 9  # the combining class of marks that join two consonants
# Arabic, Syriac, N'Ko and their neighbours; the scripts of India; Burmese; Khmer; Mongolian; Tai Tham.
_JOINING: Final = re.compile(
    "[\u0600-\u0dff\u1000-\u109f\u1780-\u18af\u1a20-\u1aaf\ua8e0-\ua8ff\ua9e0-\ua9ff\uaa60-\uaa7f\ufb50-\ufdcf"
    "\ufdf0-\ufdff\ufe70-\ufefc\U00010d00-\U00010d3f\U00011000-\U00011fff\U0001e900-\U0001e95f]"
)
_ACCENT: Final = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_HAN: Final = re.compile("[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd]")
_MONGOLIAN: Final = re.compile("[\u1820-\u18aa]")
# In Japanese and Chinese names this is the space between the two halves.
_WIDE_SPACE: Final = re.compile("(?<=[\u3005-\u30ff\u3400-\u9fff])\u3000(?=[\u3005-\u30ff\u3400-\u9fff])")
# Newer than this Python's tables, and in use on phones: pictographs and ideographs.
_NEWER: Final = re.compile("[\U0001f000-\U0001faff\U00020000-\U0002fffd\U00030000-\U0003fffd]")
_SPACES: Final = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
MAX_ABOUT: Final = 140
"""Characters of what a person says of themselves."""
_WORD_ENDS: Final = re.compile(r"[^\w\u200c\u200d]+")


def shows_nothing(text: str) -> bool:
    """Whether a chat's text would be an empty bubble: only invisible characters, or none at all.

    White space of ASCII alone is delivered, as the original did. Runs for each chat, so letters are checked first.
    """
    if text.isascii():
        return not text
    first = text[0]
    return not (first.isalnum() and first not in _FILLERS) and _something(text) is None


def is_plain(text: str) -> bool:
    """No control characters, line separators, or marks that turn the writing direction."""
    return all(unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"} and c not in _BIDI for c in text)


def clean_name(value: str) -> str | None:
    """A person's name in NFC without the spaces around it, 3 to 64 characters; None when it is not acceptable.

    Not acceptable is a name that shows nothing, looks like another one, or covers what is around it. Whole names in
    letters of another script are acceptable: a person is identified by the number, not by the name.
    """
    name = unicodedata.normalize("NFC", _WIDE_SPACE.sub(" ", value.strip()))
    if not 3 <= len(name) <= 64 or all(unicodedata.category(c)[0] in "MZ" for c in name):
        return None
    padded = f" {name} "
    if not all(_is_acceptable(*padded[at - 1 : at + 2]) for at in range(1, len(padded) - 1)):
        return None
    if _covers(name) or any(_mixes_scripts(word) for word in _WORD_ENDS.split(name)):
        return None
    return name


def clean_about(value: str) -> str | None:
    """What a person says of themselves, in NFC, with ASCII spaces and none around it; None when it is not acceptable.

    It may be empty. Otherwise each character must show something, as in a name; but it is one line of text and names
    nobody, so scripts may be mixed.
    """
    about = unicodedata.normalize("NFC", _SPACES.sub(" ", value).strip())
    padded = f" {about} "
    if len(about) > MAX_ABOUT or _covers(about):
        return None
    if not all(_is_acceptable(*padded[at - 1 : at + 2]) for at in range(1, len(padded) - 1)):
        return None
    return about


def _is_acceptable(before: str, char: str, after: str) -> bool:
    kind = unicodedata.category(char)
    if kind in {"Cn", "Co"}:
        return _NEWER.match(char) is not None
    if kind[0] == "M":
        return _may_mark(before, char, after)
    if char in (_ZWNJ, _ZWJ):
        return _may_join(before, char, after)
    return char == " " or (_something(char) is not None and kind != "Cf" and kind[0] != "Z")


def _may_mark(before: str, mark: str, after: str) -> bool:
    if mark == _KEYCAP:
        return before == "\ufe0f" or before in "0123456789#*"
    if mark in "\ufe0e\ufe0f":
        return _is_pictograph(before) or (before in "0123456789#*" and after == _KEYCAP)
    if "\ufe00" <= mark <= "\ufe02" or "\U000e0100" <= mark <= "\U000e01ef":
        return _HAN.match(before) is not None
    if "\u180b" <= mark <= "\u180f":
        return _MONGOLIAN.match(before) is not None
    # After a space there is nothing for the mark to stand on.
    return _something(mark) is not None and (unicodedata.category(before)[0] in "LMN" or before in (_ZWNJ, _ZWJ))


def _may_join(before: str, char: str, after: str) -> bool:
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if _JOINING.match(before) and _JOINING.match(after):
        return True
    return char == _ZWJ and (before == "\ufe0f" or _is_pictograph(before)) and _is_pictograph(after)


def _is_pictograph(char: str) -> bool:
    return unicodedata.category(char) in {"So", "Sm"} or char in "‼⁉〰〽🏻🏼🏽🏾🏿" or _NEWER.match(char) is not None


def _covers(name: str) -> bool:
    """Whether marks are piled up over or under a letter, more of them than any script needs."""
    marks = accents = 0
    previous = ""
    for char in name:
        if unicodedata.category(char) not in {"Mn", "Me"}:
            marks = accents = 0
        else:
            marks += 1
            accents += _ACCENT.match(char) is not None
            if char == previous or marks > MAX_MARKS or accents > MAX_ACCENTS:
                return True
        previous = char
    return False


def _mixes_scripts(word: str) -> bool:
    scripts = {unicodedata.name(char, "?").split()[0] for char in word if char.isalpha()}
    return len(scripts & _ALIKE) > 1
