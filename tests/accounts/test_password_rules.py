"""New passwords: the same rules wherever one is chosen."""

import pytest

from accounts.password_rules import check_new_password
from protocol.errors import ApiError

A = "919800000001"


@pytest.mark.parametrize("password", ["short", "x" * 73, "ééééé", "qwertz", "7777777", "9800000001"])
def test_a_bad_password_is_refused_by_the_name_of_its_field(password: str) -> None:
    with pytest.raises(ApiError, match="bad_request") as caught:
        check_new_password(password, A, "newPassword")
    (error,) = caught.value.errors or []
    assert error["field"] == "newPassword"
    assert error["message"].startswith("newPassword ")
    assert password not in error["message"]


@pytest.mark.parametrize("password", ["correct horse", "é" * 35 + "ab", "123 456 horses"])
def test_others_may_be_chosen(password: str) -> None:
    check_new_password(password, A)
