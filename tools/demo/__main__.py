"""``python -m tools.demo``: what ``run.py demo`` becomes once everything is installed."""

import os
import sys
from functools import partial

from tools.demo.options import DemoOptions, parse
from tools.demo.people import prepare, read, sign_up
from tools.demo.place import VARIABLE
from tools.devstack.launcher import Served, main
from tools.devstack.terminal import say

NOT_OURS = frozenset({"REDIS_URL", "ARQ_REDIS_URL", "DATABASE_URL", "SIGNUP_CODE"})
"""The demo breaks its storage, so it has its own; and nobody is there to read a code."""
CHEAP = {"BCRYPT_ROUNDS": "8"}
"""Unless the environment says otherwise: the passwords are random and nobody types them."""


def start(options: DemoOptions) -> int:
    """Run until stopped; the exit code."""
    env = {name: value for name, value in os.environ.items() if name not in NOT_OURS}

    def announce(url: str) -> None:
        sign_up(url, read(options.data).people)
        say(f"\nThe demo runs. Open it in a browser:\n\n    {url}/demo\n")
        say(f"  data       {options.data} (survives restarts; --fresh forgets it)")

    served = Served(
        module="tools.demo.served:app",
        env={**CHEAP, **env, VARIABLE: str(options.data)},
        prepare=partial(prepare, fresh=options.fresh),
        announce=announce,
    )
    return main(options.stack(), served)


if __name__ == "__main__":
    sys.exit(start(parse(sys.argv[1:])))
