"""Tokens: JWTs signed with HS256, bound to a login session that can be closed."""

import hashlib
import hmac
import re
import secrets
import time
from datetime import datetime
from typing import Annotated, Final, Protocol

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm

from protocol.errors import ApiError
from protocol.identifiers import DIGITS

ALGORITHM: Final = "HS256"
SKEW_SECONDS: Final = 30
"""How far ahead the clock of the server that issued a token may be."""

_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_MAX_LENGTH: Final = 2048
_Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]


class Claims(msgspec.Struct, frozen=True):
    """The claims of a verified token.

    :param expires_at: unix time in seconds
    """

    account_id: str
    mobile: str
    name: str
    device_id: str
    session_id: str
    expires_at: int


class Holder(Protocol):
    """A session that gets a token.

    ``expires_at``: when the session ends
    """

    @property
    def session_id(self) -> str: ...
    @property
    def account_id(self) -> str: ...
    @property
    def mobile(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def device_id(self) -> str: ...
    @property
    def expires_at(self) -> datetime: ...


class _Payload(msgspec.Struct):
    """The fields that are checked. Others (``jti``, and ``id``, ``mobileNo`` for old clients) are not read."""

    sub: _Id
    mobile: str
    name: str
    device: str
    sid: _Id
    exp: int
    iat: int
    nbf: int = 0


class _Prepared(HMACAlgorithm):
    """Uses keys as they are: the check that a key is no certificate is made once, not for each token."""

    def prepare_key(self, key: str | bytes) -> bytes:
        """Return it: the key was prepared before."""
        return key if isinstance(key, bytes) else key.encode()


_PLAIN: Final = HMACAlgorithm(HMACAlgorithm.SHA256)
_JWS: Final = jwt.PyJWS(algorithms=[])
_JWS.register_algorithm(ALGORITHM, _Prepared(HMACAlgorithm.SHA256))


class Tokens:
    """Issues tokens with one secret, and verifies them with that and the previous one.

    :param previous_secret: empty, or the secret that was replaced: its tokens are valid until they expire
    :param hours: how long a token lives
    """

    def __init__(self, secret: str, previous_secret: str = "", hours: float = 24) -> None:
        self._seconds = hours * 3600
        self._kid = _key_id(secret)
        self._keys = {_key_id(key): _PLAIN.prepare_key(key) for key in (secret, previous_secret) if key}

    def issue(self, holder: Holder) -> tuple[str, int]:
        """A token, and when it expires (unix time in seconds): after some hours, and never after its session."""
        now = time.time()
        expires_at = min(int(now + self._seconds), int(holder.expires_at.timestamp()))
        payload = {
            "sub": holder.account_id,
            "mobile": holder.mobile,
            "name": holder.name,
            "device": holder.device_id,
            "sid": holder.session_id,
            "iat": int(now),
            "exp": expires_at,
            "jti": secrets.token_urlsafe(12),
            # For clients of the original.
            "id": holder.account_id,
            "mobileNo": holder.mobile,
        }
        return jwt.encode(payload, self._keys[self._kid], ALGORITHM, headers={"kid": self._kid}), expires_at

    def verify(self, token: str) -> Claims:
        """:raises ApiError: ``token_expired``, or ``token_invalid`` for everything else; does not check the session"""
        if len(token) > _MAX_LENGTH or not _SHAPE.match(token):
            raise ApiError("token_invalid")
        try:
            payload = _PAYLOAD.decode(self._verified(token))
        except (jwt.InvalidTokenError, ValueError):  # what msgspec raises is one
            raise ApiError("token_invalid") from None
        now = time.time()
        if not DIGITS.match(payload.mobile) or max(payload.iat, payload.nbf) > now + SKEW_SECONDS:
            raise ApiError("token_invalid")
        if payload.exp <= now:
            raise ApiError("token_expired")
        return Claims(payload.sub, payload.mobile, payload.name, payload.device, payload.sid, payload.exp)

    def _verified(self, token: str) -> bytes:
        """The payload of a token that one of our keys signed and that names this key.

        PyJWT checks the signature and msgspec the claims: PyJWT's check of claims would double the time, of which a
        server in a storm of reconnects has none to spare.
        """
        for kid, key in self._keys.items():
            try:
                found = _JWS.decode_complete(token, key, [ALGORITHM])
            except jwt.InvalidSignatureError:
                continue
            if found["header"].get("kid") == kid:
                payload: bytes = found["payload"]
                return payload
        raise jwt.InvalidTokenError


_PAYLOAD: Final = msgspec.json.Decoder(_Payload)


def _key_id(secret: str) -> str:
    """Names a key without revealing anything about it."""
    return hmac.new(secret.encode(), b"whatsapp-mini key id", hashlib.sha256).hexdigest()[:16] if secret else ""
