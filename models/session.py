"""What a token is bound to, so that it can be revoked."""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.user import User


class Session(Model):
    """One login. Live while ``revoked_at`` is null and ``expires_at`` ahead."""

    # The refresh token of generation n is a secret. That of n + 1 is the HMAC of it with ``refresh_key``. So a repeated
    # request gets the same successor, and each earlier token is recognised, though only a hash of the newest is stored.

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", related_name="sessions")
    device_id = fields.CharField(max_length=64)
    device_name = fields.CharField(max_length=64, db_default="")
    created_at = fields.DatetimeField(auto_now_add=True)
    expires_at = fields.DatetimeField()
    revoked_at = fields.DatetimeField(null=True)
    # The last log-in or refresh; null: only the log-in, by a version that did not store it.
    last_used_at = fields.DatetimeField(null=True)
    # The last refresh; null: never.
    refreshed_at = fields.DatetimeField(null=True)
    refresh_generation = fields.IntField(db_default=0)
    refresh_key = fields.CharField(max_length=64, db_default="", description="hex; empty: no refresh token was given")
    refresh_hash = fields.CharField(max_length=64, db_default="", description="SHA-256 of the newest secret, hex")

    class Meta:
        table = "sessions"
        indexes = (
            Index(fields=("user_id", "expires_at"), name="sessions_user_expires"),
            Index(fields=("expires_at",), name="sessions_expires"),  # for pruning
        )
