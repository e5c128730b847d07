"""``python -m tools.devstack`` or ``tools.demo``: what ``run.py`` becomes, in a process of its own."""

import os
import sys
from pathlib import Path
from typing import Any

from tests.support.stack import ROOT
from tools.devstack.process import Child
from tools.devstack.runfile import read_run

NOT_OURS = ("REDIS_URL", "DATABASE_URL", "JWT_SECRET", "ARQ_REDIS_URL")
READY_SECONDS = 60.0


class Launched:
    """One launcher. Its own child processes are in sessions of their own: killing it kills it alone."""

    def __init__(
        self, log: Path, *arguments: str | Path, run_file: Path, module: str = "tools.devstack", **changes: str
    ) -> None:
        env = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        command: list[str | Path] = [sys.executable, "-m", module, *arguments]
        self.run_file = run_file
        self.child = Child(
            "launcher", command, log=log, env={**env, "BCRYPT_ROUNDS": "4", "RATE_LIMITS": "off", **changes}, cwd=ROOT
        )

    def wait_ready(self) -> dict[str, Any]:
        """Until it has said that people can come; what runs."""
        self.child.await_ready(lambda: "stop       Ctrl-C" in self.output(), READY_SECONDS)
        return self.run()

    def run(self) -> dict[str, Any]:
        """What the run file says. Read once: it may be written anew at any moment."""
        run = read_run(self.run_file)
        assert run is not None
        return run

    def output(self) -> str:
        """Everything it printed in this run."""
        return self.child.last_words(1000)
