"""One command: set up what is missing, then run WhatsApp Mini, its tests or its checks.

    python3 run.py [--help]          python3 run.py chat [NUMBER]   python3 run.py demo [ARGS]
    python3 run.py test [ARGS]       python3 run.py check           python3 run.py bench [ARGS]
    python3 run.py chaos [ARGS]      python3 run.py --version

Needs Python 3.11 or newer with pip, nothing else. Standard library only. What runs then lives in ``tools/devstack/``.
"""

from __future__ import annotations  # so that an old Python gets as far as our sentence about it

import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
MODULES: dict[str, tuple[tuple[str, ...], str]] = {
    "bench": (("dev", "bench"), "tools.bench"),
    "chaos": (("dev",), "tools.chaos"),
    "docs": (("docs",), "tools.docs"),
    "simulate": (("dev",), "tools.simulate"),
}
"""Commands that read their arguments themselves: what is installed for each, besides the product, and what runs."""


def refuse(why: str) -> None:
    """End with a sentence."""
    sys.exit(f"run.py: {why}")


def check_machine() -> None:
    """Say clearly what is missing, before anything fails obscurely."""
    if os.name != "posix":
        refuse("Linux and macOS only. On Windows use WSL, or: docker compose up")
    if sys.version_info < (3, 11):  # noqa: UP036 - that is the point
        refuse(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}. Try: python3.11 run.py")


def become(python: Path, *arguments: str) -> None:
    """Go on as another program, in the same process: signals and exit codes need no passing on."""
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(python, [str(python), *arguments])  # noqa: S606 - no shell wanted


def main(arguments: list[str]) -> None:
    """Read the command line before installing anything: a typing error should not cost a download."""
    check_machine()
    # Imported late: they may use what an older Python does not know.
    from tools.demo.options import parse as parse_demo  # noqa: PLC0415
    from tools.devstack import checks, javascript  # noqa: PLC0415
    from tools.devstack.client_environment import COMMANDS, check_usage, client_environment  # noqa: PLC0415
    from tools.devstack.install import VENV, ready_python  # noqa: PLC0415
    from tools.devstack.options import parse  # noqa: PLC0415

    command, rest = (
        (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("run", arguments)
    )
    browser = ("browser",) if checks.browser_is_wanted() else ()
    tests = ("dev", "docs", "terminal", *browser, *(("node",) if javascript.node_is_wanted() else ()))
    if command in ("test", "check"):
        checks.keep_bytecode(os.environ, VENV)
    if command == "run":
        options = parse(rest)
        become(ready_python(), "-m", "tools.devstack", *options.arguments())
    elif command == "demo":
        demo = parse_demo(rest)
        become(ready_python(), "-m", "tools.demo", *demo.arguments())
    elif command == "help" and not rest:
        parse(["--help"])
    elif command in COMMANDS:
        os.environ.update(client_environment(os.environ))
        check_usage(arguments)
        python = ready_python("terminal")
        become(python, "-m", "whatsapp_mini.terminal.command", command, *rest)
    elif command == "test":
        become(ready_python(*tests), "-m", "tools.devstack.testing", *rest)
    elif command == "check" and not rest:
        sys.exit(checks.run_checks(ready_python(*tests)))
    elif command in MODULES:
        layers, module = MODULES[command]
        become(ready_python(*layers), "-m", module, *rest)
    elif command == "describe" and not rest:
        become(ready_python(), "-m", "tools.describe")
    else:
        refuse(f"{' '.join(arguments)!r} is not a command; see: python3 run.py --help")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that an installation is stopped, not left behind
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
