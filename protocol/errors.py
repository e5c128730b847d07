"""Every error a client can get, in two tables: coded errors, and WebSocket close codes.

Clients may rely on ``code`` for ever; messages may be reworded. ``retryable`` says whether sending the same thing again
can succeed.
"""

from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """One row of the table: HTTP status, whether a retry can succeed, and the sentence a person reads."""

    status: int
    retryable: bool
    message: str


ERRORS: Final[dict[str, ErrorSpec]] = {
    # what was sent cannot be understood
    "bad_request": ErrorSpec(400, False, "The request is malformed."),
    "bad_json": ErrorSpec(400, False, "The body is not valid JSON."),
    "bad_frame": ErrorSpec(400, False, "The frame is malformed."),
    "unknown_type": ErrorSpec(400, False, "This type of frame is unknown."),
    "binary_frame": ErrorSpec(400, False, "Frames are text; this one was binary."),
    "bad_mobile": ErrorSpec(
        400, False, "A mobile number has 10 to 15 digits: write it with its country code, without a 0 in front."
    ),
    "bad_message_id": ErrorSpec(400, False, "messageId takes 1 to 128 printable ASCII characters, without space."),
    "bad_stream_id": ErrorSpec(400, False, "streamId is not one this server gives."),
    "bad_device": ErrorSpec(400, False, "deviceId takes 1 to 64 of A-Z a-z 0-9 _ - ."),
    "message_empty": ErrorSpec(400, False, "The message is empty."),
    "message_too_large": ErrorSpec(400, False, "The message is too large."),
    "self_message": ErrorSpec(400, False, "A message to oneself goes nowhere."),
    "self_block": ErrorSpec(400, False, "Nobody can block themselves."),
    "code_missing": ErrorSpec(400, False, "A code that was sent to this number is needed: ask for one first."),
    "bad_subprotocol": ErrorSpec(400, False, "The only subprotocol spoken here is wm.v1; offer that or none."),
    # who is asking
    "credentials_wrong": ErrorSpec(401, False, "The mobile number or the password is wrong."),
    "token_missing": ErrorSpec(401, False, "A bearer token is needed."),
    "token_invalid": ErrorSpec(401, False, "The token is not valid."),
    "token_expired": ErrorSpec(401, False, "The token has expired: log in again."),
    "session_revoked": ErrorSpec(401, False, "This session was logged out: log in again."),
    "refresh_invalid": ErrorSpec(401, False, "The refresh token is not valid: log in again."),
    "refresh_reused": ErrorSpec(
        401,
        False,
        "This refresh token was used before, so somebody may have a copy: the session has ended, log in again.",
    ),
    "ticket_invalid": ErrorSpec(401, False, "The ticket is unknown, used or expired."),
    "password_wrong": ErrorSpec(403, False, "The current password is wrong."),
    # what is asked for
    "code_wrong": ErrorSpec(403, False, "The code is wrong, used or over: after five wrong ones ask for a new one."),
    "forbidden": ErrorSpec(403, False, "This is not allowed."),
    "not_found": ErrorSpec(404, False, "There is nothing here."),
    "codes_off": ErrorSpec(404, False, "No codes are sent here: what asks for one elsewhere works without."),
    "no_such_person": ErrorSpec(404, False, "Nobody has this mobile number here."),
    "method_not_allowed": ErrorSpec(405, False, "This address does not take that method."),
    "already_exists": ErrorSpec(409, False, "An account with this mobile number exists already."),
    "too_many_devices": ErrorSpec(409, False, "This account has its full number of devices: log one out first."),
    "block_list_full": ErrorSpec(409, False, "The block list is full."),
    "too_many_watched": ErrorSpec(
        409, False, "More people are watched than a connection may watch: unwatch some first."
    ),
    "message_id_reused": ErrorSpec(
        409, False, "This messageId was used for another text to this person: give each text an id of its own."
    ),
    "request_timeout": ErrorSpec(408, True, "The request took too long to arrive."),
    "body_too_large": ErrorSpec(413, False, "The request is too large."),
    "uri_too_long": ErrorSpec(414, False, "The address is too long."),
    "unsupported_media_type": ErrorSpec(415, False, "Send JSON, with Content-Type: application/json."),
    "upgrade_required": ErrorSpec(426, False, "The only version of the WebSocket protocol spoken here is 13."),
    "head_too_large": ErrorSpec(431, False, "The head of the request is too large."),
    # later, perhaps
    "mailbox_full": ErrorSpec(429, True, "Too much is waiting for this person: try again later."),
    "too_many_connections": ErrorSpec(
        429, True, "Too many connections from this address: close some, or try again later."
    ),
    "too_many_requests": ErrorSpec(429, True, "Too many requests: try again later."),
    "rate_limited": ErrorSpec(
        429, True, "Too much in a short time: wait as long as retryAfter says, then send it again."
    ),
    "storage_full": ErrorSpec(503, True, "There is no room for new messages just now: try again later."),
    "unavailable": ErrorSpec(503, True, "A part of the service is away: try again in a moment."),
    "number_resting": ErrorSpec(
        503, True, "This number was left just now, and is not free yet: try again in a moment."
    ),
    "code_not_sent": ErrorSpec(503, True, "The code could not be sent: ask for another one in a moment."),
    "busy": ErrorSpec(503, True, "Too many are logging in at once: try again in a moment."),
    "draining": ErrorSpec(503, True, "This server is going down: connect again."),
    "internal": ErrorSpec(500, True, "Something broke on our side."),
}

RETRY_AFTER_SECONDS: Final = 2
"""Default ``Retry-After`` of every retryable error, in seconds."""


class ApiError(Exception):
    """A coded error for a client. Raised anywhere below the handlers, which turn it into HTTP or a frame.

    :param code: a key of :data:`ERRORS`
    :param errors: per-field details, ``[{"field": str, "message": str}]``; never the submitted value
    :param retry_after: seconds, for retryable ones
    :param details: more fields of the body over HTTP, which the code's description names
    """

    def __init__(
        self,
        code: str,
        errors: list[dict[str, str]] | None = None,
        retry_after: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        spec = ERRORS[code]
        super().__init__(code)
        self.code = code
        self.spec = spec
        self.errors = errors
        self.details = details or {}
        self.retry_after = retry_after if retry_after is not None or not spec.retryable else RETRY_AFTER_SECONDS

    @property
    def message(self) -> str:
        """What a person reads."""
        return self.spec.message

    def body(self) -> dict[str, Any]:
        """The one HTTP error body: the seed's ``{success, message}`` and RFC 9457 in one."""
        message = "; ".join(e["message"] for e in self.errors) if self.errors else self.spec.message
        body: dict[str, Any] = {
            "success": False,
            "message": message,
            "type": f"urn:whatsapp-mini:{self.code}",
            "title": self.spec.message,
            "status": self.spec.status,
            "code": self.code,
        }
        if self.errors:
            body["errors"] = self.errors
        return body | self.details


@dataclass(frozen=True, slots=True)
class Close:
    """A WebSocket close code. At 4000-4499 a client reconnects by itself, at 4500-4999 it does not."""

    code: int
    reason: str
    reconnect: bool = field(default=False)


SLOW_CONSUMER: Final = Close(4001, "slow consumer: connect again and read faster", reconnect=True)
LEASE_LOST: Final = Close(4002, "presence was lost: connect again", reconnect=True)
UNREACHABLE: Final = Close(4003, "two pings unanswered: connect again", reconnect=True)
UNAVAILABLE: Final = Close(4004, "a part of the service is away: connect again", reconnect=True)
NUMBER_CHANGED: Final = Close(4005, "the number was changed: connect again with the new token", reconnect=True)
DRAINING: Final = Close(4012, "server draining: connect again", reconnect=True)
TOKEN_EXPIRED: Final = Close(4501, "token expired: log in again")
TOO_MANY_BAD_FRAMES: Final = Close(4503, "too many bad frames")
TOO_MANY_DEVICES: Final = Close(4504, "too many devices: log one out first")
REPLACED: Final = Close(4508, "replaced by a newer connection of this device")
LOGGED_OUT: Final = Close(4509, "logged out")
TOO_MANY_FRAMES: Final = Close(1008, "too many frames: send fewer in a second")
INTERNAL: Final = Close(1011, "internal error")

CLOSES: Final = (
    SLOW_CONSUMER,
    LEASE_LOST,
    UNREACHABLE,
    UNAVAILABLE,
    NUMBER_CHANGED,
    DRAINING,
    TOKEN_EXPIRED,
    TOO_MANY_BAD_FRAMES,
    TOO_MANY_DEVICES,
    REPLACED,
    LOGGED_OUT,
    TOO_MANY_FRAMES,
    INTERNAL,
)
