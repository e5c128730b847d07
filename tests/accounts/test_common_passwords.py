"""The first guesses of attackers cannot be chosen."""

import pytest

from accounts.common_passwords import is_forbidden

MINE = "919800000001"


@pytest.mark.parametrize(
    "password",
    [
        *(
            "123456",
            "password",
            "Password",
            "QWERTY",
            "111111",
            "      ",
            "\0\0\0\0\0\0",
            "éééééé",
            "iloveyou",
            "1q2w3e4r",
        ),
        *(MINE, f"+{MINE}", "9800000001", "09800000001", "+91 98000-00001", "0000001"),
    ],
)
def test_common_passwords_and_the_own_number_are_forbidden(password: str) -> None:
    assert is_forbidden(password, MINE)


@pytest.mark.parametrize(
    "password", ["correct horse", "password of mine", "111112", "919800000002", "000001", "x919800000001", "abcabd"]
)
def test_other_passwords_are_allowed(password: str) -> None:
    assert not is_forbidden(password, MINE)
