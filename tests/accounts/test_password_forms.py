"""One password, however a keyboard writes it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.password_forms import MAX_BYTES, forms, normalised


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("cafe\u0301", "caf\u00e9"),
        ("caf\u00e9", "caf\u00e9"),
        ("a\u00a0b\u2003c\u202fd\u3000e\u1680f", "a b c d e f"),
        ("\u212b", "\u00c5"),
        ("\uff41\ufb01", "\uff41\ufb01"),
        ("  two  spaces  ", "  two  spaces  "),
    ],
)
def test_the_normal_form_is_that_of_rfc_8265(written: str, normal: str) -> None:
    assert normalised(written) == normal


@given(st.text())
def test_it_is_normal_once_and_for_all(password: str) -> None:
    assert normalised(normalised(password)) == normalised(password)
    assert normalised(unicodedata.normalize("NFD", password)) == normalised(password)


def test_forms_are_the_normal_one_and_then_the_one_given() -> None:
    assert forms("caf\u00e9") == ["caf\u00e9".encode()]
    assert forms("cafe\u0301") == ["caf\u00e9".encode(), "cafe\u0301".encode()]
    assert forms("e\u0301" * 36) == [("\u00e9" * 36).encode()], "108 bytes as given"
    assert forms("\u0958" * 24) == [("\u0958" * 24).encode()], "144 bytes in the normal form"
    assert forms("x" * (MAX_BYTES + 1)) == []
