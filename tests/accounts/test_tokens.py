"""Tokens, valid and forged."""

import base64
import json
import secrets
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from accounts.session_opening import Grant
from accounts.tokens import Tokens
from protocol.errors import ApiError

KEY, OTHER = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
MOBILE = "919800000001"


def _issue(tokens: Tokens, hours: float = 1) -> str:
    ends = datetime.now(UTC) + timedelta(hours=hours)
    return tokens.issue(Grant(str(uuid.uuid4()), str(uuid.uuid4()), MOBILE, "Asha", "phone", ends, "wmr_"))[0]


def _forge(key: str = KEY, kid_of: str = KEY, algorithm: str = "HS256", **changes: Any) -> str:
    """A token like ours but for the changes; a value of None leaves the claim out."""
    good = jwt.decode(_issue(Tokens(KEY)), options={"verify_signature": False})
    payload = {name: value for name, value in (good | changes).items() if value is not None}
    kid = jwt.get_unverified_header(_issue(Tokens(kid_of)))["kid"]
    return jwt.encode(payload, key if algorithm != "none" else "", algorithm, headers={"kid": kid})


def _refused(token: str, tokens: Tokens | None = None) -> str:
    with pytest.raises(ApiError) as caught:
        (tokens or Tokens(KEY)).verify(token)
    assert len(token) < 6 or token not in str(caught.value.body())
    return caught.value.code


def _parts(**header: Any) -> str:
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{head}.{_issue(Tokens(KEY)).split('.')[1]}.AAAA"


def test_an_issued_token_is_verified() -> None:
    claims = Tokens(KEY).verify(_issue(Tokens(KEY)))
    assert (claims.mobile, claims.name, claims.device_id) == (MOBILE, "Asha", "phone")
    assert uuid.UUID(claims.account_id) != uuid.UUID(claims.session_id)
    assert 3590 < claims.expires_at - time.time() <= 3600


def test_a_token_lives_for_its_hours_and_never_past_its_session() -> None:
    for session_hours, token_hours, lives in ((48, 2, 2), (1, 2, 1)):
        claims = Tokens(KEY).verify(_issue(Tokens(KEY, hours=token_hours), hours=session_hours))
        assert 3600 * lives - 10 < claims.expires_at - time.time() <= 3600 * lives


def test_old_clients_find_the_claims_of_the_original() -> None:
    payload = jwt.decode(_issue(Tokens(KEY)), options={"verify_signature": False})
    assert payload["id"] == payload["sub"]
    assert (payload["mobileNo"], payload["name"]) == (MOBILE, "Asha")
    assert payload["exp"] > payload["iat"]
    assert payload["jti"]


def test_two_tokens_are_never_the_same() -> None:
    assert _issue(Tokens(KEY)) != _issue(Tokens(KEY))


def test_the_previous_key_verifies_but_does_not_sign() -> None:
    rotated = Tokens(OTHER, KEY)
    assert rotated.verify(_issue(Tokens(KEY))).mobile == MOBILE
    assert _refused(_issue(rotated)) == "token_invalid"
    assert _refused(_issue(Tokens(KEY)), Tokens(OTHER)) == "token_invalid"


def test_the_key_id_reveals_nothing_of_the_key() -> None:
    kid = jwt.get_unverified_header(_issue(Tokens(KEY)))["kid"]
    assert kid not in KEY
    assert len(kid) == 16


def test_an_expired_token_says_so_without_leeway() -> None:
    assert _refused(_forge(exp=int(time.time()) - 1)) == "token_expired"
    assert _refused(_issue(Tokens(KEY), hours=-1)) == "token_expired"


def test_a_clock_may_be_half_a_minute_ahead_but_not_more() -> None:
    assert Tokens(KEY).verify(_forge(iat=int(time.time()) + 25)).mobile == MOBILE
    assert _refused(_forge(iat=int(time.time()) + 60)) == "token_invalid"


@pytest.mark.parametrize("claim", ["sub", "exp", "iat", "sid", "mobile", "device", "name"])
def test_no_claim_may_be_missing(claim: str) -> None:
    assert _refused(_forge(**{claim: None})) == "token_invalid"


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "7"},
        {"sub": 7},
        {"sid": "not-a-session"},
        {"sid": "0f8fad5b-d9cb-469f-a165-70867728950e\n"},
        {"sid": "0F8FAD5B-D9CB-469F-A165-70867728950E"},  # Redis would know it by another name
        {"mobile": "{x}"},
        {"mobile": 919800000001},
        {"exp": "tomorrow"},
        {"exp": 1e400},
        {"exp": True},
        {"iat": "now"},
        {"nbf": int(time.time()) + 3600},
    ],
)
def test_no_claim_may_be_of_another_kind(changes: dict[str, Any]) -> None:
    assert _refused(_forge(**changes)) == "token_invalid"


def test_foreign_keys_and_other_algorithms_are_errors() -> None:
    assert _refused(_forge(key=OTHER)) == "token_invalid"
    assert _refused(_forge(key=OTHER, kid_of=OTHER)) == "token_invalid"
    assert _refused(_forge(key=KEY, kid_of=OTHER)) == "token_invalid"
    assert _refused(_forge(algorithm="none")) == "token_invalid"
    assert _refused(_forge(algorithm="HS512")) == "token_invalid"
    unsigned = _forge(algorithm="none").rsplit(".", 1)[0] + "." + _issue(Tokens(KEY)).rsplit(".", 1)[1]
    assert _refused(unsigned) == "token_invalid"


def test_a_certificate_is_no_secret() -> None:
    with pytest.raises(jwt.InvalidKeyError):
        Tokens(KEY, "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----")


@pytest.mark.parametrize("position", [5, 60, -5])
def test_a_changed_letter_is_an_error(position: int) -> None:
    token = _issue(Tokens(KEY))
    changed = "A" if token[position] != "A" else "B"
    assert _refused(token[:position] + changed + token[position:][1:]) == "token_invalid"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "ä.b.c",
        "\ud800.b.c",
        "a.b.c\n",
        "x" * 10**6,
        _parts(alg="HS256"),
        _parts(alg="HS256", kid=7),
        _parts(alg="HS256", kid=""),
        _parts(alg="HS256", kid=None),
        _parts(alg="HS256", kid=["x"]),
        base64.urlsafe_b64encode(b"[" * 1400).decode().rstrip("=") + ".e30.AAAA",
        base64.urlsafe_b64encode(b"7").decode().rstrip("=") + ".e30.AAAA",
    ],
    ids=range(17),
)
def test_junk_is_an_error_and_nothing_else(token: str) -> None:
    assert _refused(token) == "token_invalid"
