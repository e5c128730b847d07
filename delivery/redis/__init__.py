"""How the product reaches Redis (docs/redis.md)."""
