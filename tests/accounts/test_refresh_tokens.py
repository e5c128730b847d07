"""Refresh tokens: their shape, their chain, and what each old one is taken for."""

import base64
import secrets
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts import refresh_tokens
from accounts.refresh_tokens import MAX_STEPS, Chain, RefreshToken, digest, parse, successor
from protocol.errors import ApiError

SESSION = str(uuid.uuid4())


def _chain(length: int) -> tuple[list[RefreshToken], Chain]:
    """The first tokens of a session, and what is stored when the last of them is the newest."""
    first, begun = refresh_tokens.begin(SESSION)
    tokens = [first]
    for _ in range(length - 1):
        tokens.append(successor(tokens[-1], begun))
    return tokens, Chain(begun.key, length - 1, digest(tokens[-1].secret))


def _judged(token: RefreshToken, chain: Chain, *, fresh: bool = False) -> str:
    try:
        return refresh_tokens.judge(token, chain, fresh=fresh)
    except ApiError as error:
        return error.code


@given(st.uuids(), st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32))
def test_what_is_written_is_read_back(session: uuid.UUID, generation: int, secret: bytes) -> None:
    written = str(RefreshToken(str(session), generation, secret))
    assert len(written) == 74
    assert parse(written) == RefreshToken(str(session), generation, secret)


def test_the_newest_rotates_the_one_before_it_is_repeated_and_older_ones_are_reuse() -> None:
    tokens, chain = _chain(5)
    assert [_judged(token, chain, fresh=True) for token in tokens] == [*["reused"] * 3, "repeated", "newest"]
    assert [_judged(token, chain) for token in tokens] == [*["reused"] * 4, "newest"]


def test_a_repeated_request_gets_the_same_successor() -> None:
    tokens, chain = _chain(3)
    assert successor(tokens[1], chain) == tokens[2]


def test_a_token_of_another_chain_or_time_is_invalid() -> None:
    tokens, chain = _chain(3)
    strange, _ = _chain(3)
    ahead = successor(tokens[-1], chain)
    changed = RefreshToken(SESSION, 2, secrets.token_bytes(32))
    misplaced = [
        RefreshToken(SESSION, 1, tokens[0].secret),
        *(RefreshToken(SESSION, n, tokens[2].secret) for n in (1, 7)),
    ]
    given = (*strange, ahead, changed, *misplaced)
    assert {_judged(each, chain, fresh=True) for each in given} == {"refresh_invalid"}
    assert _judged(tokens[0], Chain("", 0, "")) == "refresh_invalid", "a session of a version without refresh tokens"


def test_what_is_stored_makes_no_token() -> None:
    """Somebody who reads the database knows the key and the hash, and takes the hash for the secret."""
    _, chain = _chain(3)
    forged = RefreshToken(SESSION, 2, bytes.fromhex(chain.newest))
    assert _judged(forged, chain) == _judged(successor(forged, chain), chain) == "refresh_invalid"


def test_a_token_may_be_so_many_generations_behind() -> None:
    tokens, chain = _chain(MAX_STEPS + 2)
    assert (_judged(tokens[0], chain), _judged(tokens[1], chain)) == ("refresh_invalid", "reused")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wmr_",
        "wmr_" + "A" * 69,
        "wmr_" + "A" * 71,
        "xmr_" + "A" * 70,
        "wmr_" + "A" * 69 + "+",
        "wmr_" + "A" * 69 + "=",
        "wmr_" + "A" * 69 + "B",
        "wmr_" + "ä" * 70,
        "wmr_" + "A" * 69 + "\n",
        base64.urlsafe_b64encode(b"x" * 52).decode(),
    ],
)
def test_junk_is_an_error_and_nothing_else(text: str) -> None:
    with pytest.raises(ApiError, match="refresh_invalid"):
        parse(text)


def test_a_token_does_not_show_in_a_repr() -> None:
    token, chain = refresh_tokens.begin(SESSION)
    assert token.secret.hex() not in repr(token) + repr(chain)
    assert str(token) not in repr(token)
    assert chain.key not in repr(chain)
