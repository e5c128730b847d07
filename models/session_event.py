"""Log-ins and connections of people; "last seen" is rebuilt from these."""

from enum import StrEnum

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.user import User


class EventKind(StrEnum):
    """What happened."""

    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    LOGOUT = "logout"
    CONNECT = "connect"
    DISCONNECT = "disconnect"
    LOGOUT_ALL = "logout_all"
    SESSION_ENDED = "session_ended"
    REFRESH_REUSED = "refresh_reused"
    DEVICE_UNLINKED = "device_unlinked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of event
    PASSWORD_RESET = "password_reset"  # noqa: S105
    NUMBER_CHANGED = "number_changed"
    LIMITED = "limited"


class SessionEvent(Model):
    """One thing that happened. ``user`` is null for a login of a number nobody has."""

    id = fields.BigIntField(primary_key=True)
    user: fields.ForeignKeyNullableRelation[User] = fields.ForeignKeyField(
        "models.User", related_name="session_events", null=True, on_delete=fields.SET_NULL
    )
    mobile_no = fields.CharField(max_length=15)
    kind = fields.CharEnumField(EventKind, max_length=16, description="what happened")
    session_id = fields.UUIDField(null=True)
    server_id = fields.CharField(max_length=128, db_default="")
    device_id = fields.CharField(max_length=64, db_default="")
    reason = fields.CharField(max_length=64, db_default="")
    at = fields.DatetimeField(description="when it happened, not when it was written")
    times = fields.IntField(db_default=1, description="events of one device in a moment that are one row")

    class Meta:
        table = "session_events"
        indexes = (
            Index(fields=("mobile_no", "at"), name="session_events_mobile_at"),
            Index(fields=("user_id",), name="session_events_user"),
        )
