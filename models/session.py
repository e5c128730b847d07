"""What a token is bound to, so that it can be revoked."""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.user import User


class Session(Model):
    """One login. Live while ``revoked_at`` is null and ``expires_at`` ahead."""

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", related_name="sessions")
    device_id = fields.CharField(max_length=64)
    device_name = fields.CharField(max_length=64, db_default="")
    created_at = fields.DatetimeField(auto_now_add=True)
    expires_at = fields.DatetimeField()
    revoked_at = fields.DatetimeField(null=True)

    class Meta:
        table = "sessions"
        indexes = (
            Index(fields=("user_id", "expires_at"), name="sessions_user_expires"),
            Index(fields=("expires_at",), name="sessions_expires"),  # for pruning
        )
