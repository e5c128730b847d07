"""A person."""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model


class User(Model):
    """Somebody with an account."""

    id = fields.UUIDField(primary_key=True)
    mobile_no = fields.CharField(max_length=15, unique=True, description="10 to 15 ASCII digits, cleaned")
    name = fields.CharField(max_length=64)
    about = fields.CharField(max_length=140, db_default="", description="what the person says about themselves")
    password_hash = fields.CharField(max_length=72, description="bcrypt")
    # Who may see what: everyone, contacts (people this person wrote to) or nobody.
    last_seen_to = fields.CharField(max_length=8, db_default="everyone")
    online_to = fields.CharField(max_length=8, db_default="everyone")
    # Whether senders are told what this person read, and whether people this person never wrote to get any receipt.
    read_receipts = fields.BooleanField(db_default=True)
    stranger_receipts = fields.BooleanField(db_default=True)
    # Raised in the same transaction as every change of this person's blocks or of the four above: Redis accepts only
    # newer ones.
    blocks_version = fields.BigIntField(db_default=0)
    # Null: never, or by a version that did not store it.
    blocks_changed_at = fields.DatetimeField(null=True)
    # The newest disconnect among the session events that were pruned; null: none was.
    last_seen_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    # Since when this person has this number; null: since the account was made.
    mobile_since = fields.DatetimeField(null=True)

    class Meta:
        table = "users"
        indexes = (Index(fields=("blocks_changed_at", "id"), name="users_blocks_changed"),)
