"""Everything that can be broken, by name."""

from typing import Final

from tools.chaos.faults import background, clients, memory, processes, storage, wires
from tools.chaos.faults.base import Fault

__all__ = ["FAULTS", "Fault"]

MODULES: Final = (processes, storage, memory, wires, background, clients)
FAULTS: Final[dict[str, type[Fault]]] = {fault.name: fault for module in MODULES for fault in module.FAULTS}
"""In the order of a full run."""
