"""The behaviour of ``docs/clients.md`` as a state machine: frames, results and times go in, effects come out.

Nothing in here waits, reads a clock or opens a socket. Times are monotonic seconds.
"""

from whatsapp_mini.core.core import Core

__all__ = ["Core"]
