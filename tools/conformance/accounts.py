"""What the scripted server knows of its one person: sessions, tokens and tickets, as docs/PROTOCOL.md has them."""

import base64
import itertools
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

ME: Final = "919800000001"
"""The number of the person whose client is tried."""
PASSWORD: Final = "pw-which-is-secret"
DAY: Final = 86_400.0
SESSION_SECONDS: Final = 60 * DAY
GRACE_SECONDS: Final = 10.0
"""For so long a refresh token that was replaced gets the same successor again."""


class Refused(Exception):
    """A refusal with its status and code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass
class Session:
    """A login session. ``refresh_tokens`` has all its refresh tokens, the newest last."""

    session_id: str
    device: str
    refresh_tokens: list[str]
    replaced_at: float = 0.0
    last_grant: dict[str, Any] = field(default_factory=dict)


class Accounts:
    """One person with any number of sessions.

    :ivar life: seconds that a token lives
    :ivar clock_ahead: seconds by which this server's wall clock is ahead
    """

    def __init__(self) -> None:
        self.life = DAY
        self.clock_ahead = 0.0
        self.device_limit = 5
        self.sessions: list[Session] = []
        self._numbers = itertools.count(1)
        self._good_tokens: set[str] = set()
        self._expired_tokens: set[str] = set()
        self._tickets: set[str] = set()
        self.secrets: set[str] = {PASSWORD}
        """Everything that must be in no log, no error and no URL."""

    def log_in(self, form: dict[str, Any]) -> dict[str, Any]:
        """The answer to a log-in.

        :raises Refused: number or password are wrong
        """
        if form.get("mobileNo") != ME or form.get("password") != PASSWORD:
            raise Refused(401, "credentials_wrong")
        session = Session(f"session-{next(self._numbers)}", form.get("deviceId") or "primary", [])
        self.sessions.append(session)
        return self._grant(session, "login successful")

    def refresh(self, form: dict[str, Any]) -> dict[str, Any]:
        """The answer to a refresh; the same one again within the grace.

        :raises Refused: ``refresh_invalid`` or ``refresh_reused``
        """
        token = form.get("refreshToken", "")
        for session in self.sessions:
            if token not in session.refresh_tokens:
                continue
            if token == session.refresh_tokens[-1]:
                return self._grant(session, "refresh successful")
            if token == session.refresh_tokens[-2] and time.monotonic() < session.replaced_at + GRACE_SECONDS:
                return session.last_grant
            self.sessions.remove(session)
            raise Refused(401, "refresh_reused")
        raise Refused(401, "refresh_invalid")

    def _grant(self, session: Session, message: str) -> dict[str, Any]:
        now, number = time.time() + self.clock_ahead, next(self._numbers)
        claims = {"id": "1", "mobileNo": ME, "name": "Asha", "sid": session.session_id, "n": number}
        claims |= {"iat": int(now), "exp": int(now + self.life)}
        token = ".".join([_base64({"alg": "HS256", "typ": "JWT"}), _base64(claims), f"signature-{number}"])
        session.refresh_tokens.append(f"wmr_secret_{number}")
        session.replaced_at = time.monotonic()
        self._good_tokens.add(token)
        self.secrets |= {token, session.refresh_tokens[-1]}
        session.last_grant = {
            "success": True,
            "message": message,
            "token": token,
            "expiresAt": _rfc3339(int(now + self.life)),
            "id": "1",
            "name": "Asha",
            "mobileNo": ME,
            "deviceId": session.device,
            "refreshToken": session.refresh_tokens[-1],
            "refreshExpiresAt": _rfc3339(now + SESSION_SECONDS),
        }
        return session.last_grant

    def check(self, token: str) -> None:
        """Refuse a token that is not good.

        :raises Refused: ``token_missing``, ``token_expired`` or ``token_invalid``
        """
        if token not in self._good_tokens:
            raise Refused(401, "token_missing" if not token else self._why(token))

    def _why(self, token: str) -> str:
        return "token_expired" if token in self._expired_tokens else "token_invalid"

    def expire_tokens(self) -> None:
        """From now on the tokens issued so far are refused with ``token_expired``."""
        self._expired_tokens |= self._good_tokens
        self._good_tokens.clear()

    def ticket(self) -> str:
        """A fresh ticket."""
        ticket = f"ticket-secret-{next(self._numbers)}"
        self._tickets.add(ticket)
        self.secrets.add(ticket)
        return ticket

    def use_ticket(self, ticket: str) -> None:
        """It works once.

        :raises Refused: ``ticket_invalid``
        """
        if ticket not in self._tickets:
            raise Refused(401, "ticket_invalid")
        self._tickets.remove(ticket)


def _base64(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
