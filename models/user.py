"""A person."""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model


class User(Model):
    """Somebody with an account."""

    id = fields.UUIDField(primary_key=True)
    mobile_no = fields.CharField(max_length=15, unique=True, description="10 to 15 ASCII digits, cleaned")
    name = fields.CharField(max_length=64)
    password_hash = fields.CharField(max_length=72, description="bcrypt")
    # Raised in the same transaction as every change of this person's blocks: Redis accepts only newer ones.
    blocks_version = fields.BigIntField(db_default=0)
    # Null: never, or by a version that did not store it.
    blocks_changed_at = fields.DatetimeField(null=True)
    # The newest disconnect among the session events that were pruned; null: none was.
    last_seen_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "users"
        indexes = (Index(fields=("blocks_changed_at", "id"), name="users_blocks_changed"),)
