"""What PostgreSQL stores: people, blocks, login sessions and session events. Never a chat.

The docstring of a model is the comment of its table: to change one needs a migration.
"""

from models.block import Block
from models.departure import Departure
from models.meta import Meta
from models.session import Session
from models.session_event import EventKind, SessionEvent
from models.user import User

__all__ = ["Block", "Departure", "EventKind", "Meta", "Session", "SessionEvent", "User"]
