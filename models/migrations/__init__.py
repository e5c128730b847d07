"""Steps of the schema, applied in order by ``python -m models.migrate``."""
