"""A client of WhatsApp Mini. See the README beside it, and ``docs/clients.md`` for how it behaves."""

from whatsapp_mini.client import Client, Events
from whatsapp_mini.errors import (
    ApiError,
    ClientError,
    Ended,
    LoggedOut,
    NotStarted,
    SendFailed,
    Stopped,
    StoreError,
    StoreMismatch,
)
from whatsapp_mini.events import ConnectionState, Event
from whatsapp_mini.messages import Message
from whatsapp_mini.sqlite_store import Conversation, SqliteStore
from whatsapp_mini.store import MemoryStore, Session, Store

__all__ = [
    "ApiError",
    "Client",
    "ClientError",
    "ConnectionState",
    "Conversation",
    "Ended",
    "Event",
    "Events",
    "LoggedOut",
    "MemoryStore",
    "Message",
    "NotStarted",
    "SendFailed",
    "Session",
    "SqliteStore",
    "Stopped",
    "Store",
    "StoreError",
    "StoreMismatch",
]
