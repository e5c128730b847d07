"""What runs on the demo's data directory: the server processes, Valkey, and where its socket is.

It is read from the files that the launcher writes, so it is known while Redis is away.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tools.devstack.process import birth
from tools.devstack.product import ServerProcess
from tools.devstack.runfile import NAME, read_run

VARIABLE = "DEMO_DIRECTORY"
"""Environment variable by which the server processes learn of the data directory."""
CHILDREN = "children.json"


@dataclass(frozen=True)
class Place:
    """One data directory."""

    directory: Path

    def servers(self) -> list[ServerProcess]:
        """The living server processes that the launcher knows of."""
        run = read_run(self.directory / NAME)
        found = [ServerProcess(each["serverId"], int(each["pid"])) for each in (run or {}).get("servers", [])]
        return [each for each in found if each.lives()]

    def valkey(self) -> tuple[int, str] | None:
        """Pid and birth of the embedded Valkey; None when it does not live."""
        try:
            children = json.loads((self.directory / CHILDREN).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        for each in children:
            if each["name"] == "Valkey" and birth(int(each["pid"])) == each["born"]:
                return int(each["pid"]), each["born"]
        return None


def our_place() -> Place | None:
    """That of this server process; None when it was not started by the demo."""
    named = os.environ.get(VARIABLE)
    return Place(Path(named)) if named else None
