"""Who blocks whom."""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.user import User


class Block(Model):
    """``blocker`` hears nothing of ``blocked``."""

    id = fields.BigIntField(primary_key=True)
    blocker: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", related_name="blocks")
    blocked: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", related_name="blocked_by")
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "blocks"
        unique_together = (("blocker", "blocked"),)
        # For deleting a person: the unique index helps only from the blocker's side.
        indexes = (Index(fields=("blocked_id",), name="blocks_blocked"),)
