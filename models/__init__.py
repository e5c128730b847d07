"""What PostgreSQL keeps: people, whom they block, their sessions, and when they came and went. Never a chat."""

from models.block import Block
from models.meta import Meta
from models.session import Session
from models.session_event import EventKind, SessionEvent
from models.user import User

__all__ = ["Block", "EventKind", "Meta", "Session", "SessionEvent", "User"]
