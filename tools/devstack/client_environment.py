"""What ``run.py chat``, ``send`` and ``listen`` give to the Python client. Standard library only."""

import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.devstack.options import ROOT
from tools.devstack.runfile import NAME, read_run

SOURCE = ROOT / "clients" / "python" / "src"
COMMANDS = ("chat", "send", "listen")
_USAGE = SOURCE / "whatsapp_mini" / "terminal" / "usage.py"


def check_usage(arguments: Sequence[str]) -> None:
    """Show the help, or refuse a typing error, before anything is installed.

    :raises SystemExit: after one of them
    """
    runpy.run_path(str(_USAGE))["parse"](arguments)


def client_environment(given: Mapping[str, str], data: Path = ROOT / ".data") -> dict[str, str]:
    """Variables to be set: where the package is, and what the person has not set themselves.

    Accounts are kept beside the data of the servers they are on, and the server is the one that runs there.
    """
    run = read_run(data / NAME)
    defaults = {"WHATSAPP_MINI_HOME": str(data / "terminal"), "WHATSAPP_MINI_COMMAND": "run.py"}
    if run is not None:
        defaults["WHATSAPP_MINI_URL"] = str(run["url"])
    path = f"{SOURCE}:{given['PYTHONPATH']}" if given.get("PYTHONPATH") else str(SOURCE)
    return {name: value for name, value in defaults.items() if not given.get(name)} | {"PYTHONPATH": path}
