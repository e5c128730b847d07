"""How the database was set up."""

from tortoise import fields
from tortoise.models import Model


class Meta(Model):
    """One setting that must not change under people."""

    key = fields.CharField(max_length=64, primary_key=True)
    value = fields.CharField(max_length=255)

    class Meta:
        table = "meta"
