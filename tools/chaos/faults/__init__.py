"""Everything that can be broken, by name."""

from typing import Final

from tools.chaos.faults import background, clients, database, memory, processes, storage, wires
from tools.chaos.faults.base import Fault

__all__ = ["FAULTS", "Fault"]

ROOMS: Final = (processes, storage, memory, wires, database, background, clients)
FAULTS: Final[dict[str, type[Fault]]] = {fault.name: fault for room in ROOMS for fault in room.FAULTS}
"""In the order of a full run."""
