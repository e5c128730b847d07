"""Numbers that nobody has any more, and of which Redis still holds something."""

from tortoise import fields
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.models import Model


class Departure(Model):
    """A number that its owner left. Nobody can have it while Redis holds some of it."""

    mobile_no = fields.CharField(max_length=15, primary_key=True)
    account_id = fields.UUIDField(description="of the former owner")
    # Of the former owner: Redis may call them alive for an hour, and tokens name the number.
    sessions = ArrayField("uuid")
    at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "departures"
