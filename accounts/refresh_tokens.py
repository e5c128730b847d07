"""Refresh tokens: ``wmr_`` and, in base64url, the session id (16 bytes), a generation (4) and a secret (32).

The secret of generation n + 1 is HMAC-SHA256(key of the session, secret n). PostgreSQL stores the key and a hash of the
newest secret, and with these alone nobody can make a token. The newest token rotates. The one before it gets the same
successor again for some seconds, because an answer may have been lost. Every earlier one is recognised: somebody who
is not the client has a copy, or the client has been restored from one.
"""

import base64
import hashlib
import hmac
import re
import secrets
import uuid
from dataclasses import dataclass
from typing import Final, Literal

from protocol.errors import ApiError

PREFIX: Final = "wmr_"
"""So that tokens in places where they do not belong can be searched for."""
MAX_STEPS: Final = 4096
"""Generations that a token may be behind. An older one is unknown: each step costs a microsecond."""
GRACE_SECONDS: Final = 10
"""For so long after a rotation the token before it gets its successor again."""

_SHAPE: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{69}}[AQgw]\Z")
"""52 bytes in base64url without padding, of whose last letter two bits count."""
Judgement = Literal["newest", "repeated", "reused"]


@dataclass(frozen=True, slots=True, repr=False)
class RefreshToken:
    """A token that was parsed. Whether it is one of ours is not known yet."""

    session_id: str
    generation: int
    secret: bytes

    def __str__(self) -> str:
        whole = uuid.UUID(self.session_id).bytes + self.generation.to_bytes(4, "big") + self.secret
        return PREFIX + base64.urlsafe_b64encode(whole).decode().rstrip("=")


@dataclass(frozen=True, slots=True, repr=False)
class Chain:
    """What is stored of a session's tokens.

    :param key: in hex; "": the session has no tokens
    :param generation: of the newest token
    :param newest: SHA-256 of its secret, in hex
    """

    key: str
    generation: int
    newest: str


def parse(text: str) -> RefreshToken:
    """:raises ApiError: ``refresh_invalid``"""
    if not _SHAPE.match(text):
        raise ApiError("refresh_invalid")
    whole = base64.urlsafe_b64decode(text.removeprefix(PREFIX) + "==")
    return RefreshToken(str(uuid.UUID(bytes=whole[:16])), int.from_bytes(whole[16:20], "big"), whole[20:])


def begin(session_id: str) -> tuple[RefreshToken, Chain]:
    """The first token of a session, and what to store of it."""
    token = RefreshToken(session_id, 0, secrets.token_bytes(32))
    return token, Chain(secrets.token_hex(32), 0, digest(token.secret))


def digest(secret: bytes) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret).hexdigest()


def successor(token: RefreshToken, chain: Chain) -> RefreshToken:
    """The token after this one."""
    return RefreshToken(token.session_id, token.generation + 1, _next(bytes.fromhex(chain.key), token.secret))


def judge(token: RefreshToken, chain: Chain, *, fresh: bool) -> Judgement:
    """What an authentic token is in its chain.

    :param fresh: whether the last rotation is less than :data:`GRACE_SECONDS` ago
    :raises ApiError: ``refresh_invalid``: it is not of this chain
    """
    steps = chain.generation - token.generation
    if not chain.key or not 0 <= steps <= MAX_STEPS:
        raise ApiError("refresh_invalid")
    secret, key = token.secret, bytes.fromhex(chain.key)
    for _ in range(steps):
        secret = _next(key, secret)
    if not hmac.compare_digest(digest(secret), chain.newest):
        raise ApiError("refresh_invalid")
    if steps == 0:
        return "newest"
    return "repeated" if steps == 1 and fresh else "reused"


def _next(key: bytes, secret: bytes) -> bytes:
    return hmac.digest(key, secret, "sha256")
