"""What a client can send that no client should: at the door, in WebSocket frames, in JSON; from a seed."""

from tools.chaos.fuzz.fault import fuzzing

__all__ = ["fuzzing"]
