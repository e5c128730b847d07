"""The only speller of the Redis keys of accounts. Each stands alone: no script joins them to a person's slot."""

import hashlib


def session(session_id: str) -> str:
    """String with a time to live: ``1`` the session lives, ``0`` it was closed."""
    return f"session:{session_id}"


def ticket(secret: str) -> str:
    """String with a time to live: the claims a ticket stands for. Hashed, so that a dump of Redis opens no socket."""
    return f"ticket:{hashlib.sha256(secret.encode()).hexdigest()}"
