"""The tables of errors and close codes, and the documentation that repeats them."""

import re
from pathlib import Path

import pytest

from protocol import errors
from protocol.errors import CLOSES, ERRORS, RETRY_AFTER_SECONDS, ApiError, Close

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "PROTOCOL.md").read_text()
WORDS = {True: "yes", False: "no"}


def test_the_page_lists_every_code_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| (yes|no) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(code, str(r.status), WORDS[r.retryable], r.message) for code, r in ERRORS.items()]


def test_the_page_lists_every_close_code_and_no_other() -> None:
    rows = re.findall(r"^\| (\d{4}) \| (yes|no) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(str(close.code), WORDS[close.reconnect], close.reason) for close in CLOSES]


def test_every_close_is_in_the_table_once() -> None:
    named = [value for value in vars(errors).values() if isinstance(value, Close)]
    assert sorted(named, key=lambda close: close.code) == sorted(CLOSES, key=lambda close: close.code)
    assert len({close.code for close in CLOSES}) == len(CLOSES)


@pytest.mark.parametrize("close", CLOSES, ids=lambda close: str(close.code))
def test_a_close_code_tells_whether_to_reconnect(close: Close) -> None:
    assert close.reconnect == (4000 <= close.code < 4500)
    assert len(close.reason.encode()) <= 123  # a control frame has no room for more


@pytest.mark.parametrize("code", ERRORS)
def test_the_status_decides_whether_a_client_error_is_retryable(code: str) -> None:
    rule = ERRORS[code]
    assert rule.retryable == (rule.status >= 500 or rule.status in {408, 429})


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_has_the_one_body(code: str) -> None:
    body = ApiError(code).body()
    assert body.pop("type") == f"urn:whatsapp-mini:{code}"
    assert body.pop("message") == body.pop("title") == ERRORS[code].message
    assert body == {"success": False, "status": ERRORS[code].status, "code": code}


def test_details_of_fields_become_the_message() -> None:
    errors = [{"field": "name", "message": "too short"}, {"field": "password", "message": "too long"}]
    body = ApiError("bad_request", errors).body()
    assert (body["message"], body["errors"]) == ("too short; too long", errors)


def test_only_retryable_errors_have_retry_after() -> None:
    assert ApiError("mailbox_full").retry_after == RETRY_AFTER_SECONDS
    assert ApiError("draining", retry_after=0.5).retry_after == 0.5
    assert ApiError("bad_frame").retry_after is None


def test_an_unknown_code_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        ApiError("no_such_code")
