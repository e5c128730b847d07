"""All cases, by the sections of docs/clients.md. Importing this package fills ``tools.conformance.case.CASES``."""

from tools.conformance.cases import connection, presence, receiving, sending, session, stopping

__all__ = ["connection", "presence", "receiving", "sending", "session", "stopping"]
