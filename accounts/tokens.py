"""Tokens: JWTs signed with HS256, bound to a session that can be taken back."""

import hashlib
import hmac
import re
import secrets
import time
import uuid
from typing import Any, Final

import jwt
import msgspec

from models import Session, User
from protocol.identifiers import DIGITS
from protocol.refusals import Refusal

ALGORITHM: Final = "HS256"
SKEW_SECONDS: Final = 30
"""How far ahead the clock of the server that issued a token may be."""

_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_MAX_LENGTH: Final = 2048
_REQUIRED: Final = ["sub", "exp", "iat", "sid", "mobile", "device"]


class Claims(msgspec.Struct, frozen=True):
    """What a verified token says.

    :param expires_at: unix time in seconds
    """

    account_id: str
    mobile: str
    name: str
    device_id: str
    session_id: str
    expires_at: int


class _Payload(msgspec.Struct):
    """The payload as it must look; the rest of it (``jti``, and ``id``, ``mobileNo`` for old clients) is not read."""

    sub: str
    mobile: str
    name: str
    device: str
    sid: str
    exp: int


class Tokens:
    """Issues with one secret, verifies with that and the one before.

    :param previous_secret: empty, or the secret that was replaced: its tokens live on until they expire
    """

    def __init__(self, secret: str, previous_secret: str = "") -> None:
        self._kid = _key_id(secret)
        self._keys = {_key_id(key): key for key in (previous_secret, secret) if key}

    def issue(self, user: User, session: Session) -> str:
        """A token that ends with its session."""
        account = str(user.id)
        payload = {
            "sub": account,
            "mobile": user.mobile_no,
            "name": user.name,
            "device": session.device_id,
            "sid": str(session.id),
            "iat": int(time.time()),
            "exp": int(session.expires_at.timestamp()),
            "jti": secrets.token_urlsafe(12),
            # What clients of the original read.
            "id": account,
            "mobileNo": user.mobile_no,
        }
        return jwt.encode(payload, self._keys[self._kid], ALGORITHM, headers={"kid": self._kid})

    def verify(self, token: str) -> Claims:
        """:raises Refusal: ``token_expired``, or ``token_invalid`` for everything else; says nothing of the session"""
        if len(token) > _MAX_LENGTH or not _SHAPE.match(token):
            raise Refusal("token_invalid")
        try:
            payload = msgspec.convert(self._decode(token), _Payload)
            uuid.UUID(payload.sub), uuid.UUID(payload.sid)
        except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError):
            raise Refusal("token_invalid") from None
        if not DIGITS.match(payload.mobile):
            raise Refusal("token_invalid")
        if payload.exp <= time.time():
            raise Refusal("token_expired")
        return Claims(payload.sub, payload.mobile, payload.name, payload.device, payload.sid, payload.exp)

    def _decode(self, token: str) -> dict[str, Any]:
        key = self._keys.get(jwt.get_unverified_header(token).get("kid", ""))
        if key is None:
            raise jwt.InvalidTokenError
        # The leeway is for `iat`; PyJWT would grant it to `exp` as well, which is looked at without any.
        options: Any = {"require": _REQUIRED, "verify_exp": False}
        return jwt.decode(token, key, [ALGORITHM], options, leeway=SKEW_SECONDS)


def _key_id(secret: str) -> str:
    """Names a key without telling anything about it."""
    return hmac.new(secret.encode(), b"whatsapp-mini key id", hashlib.sha256).hexdigest()[:16] if secret else ""
