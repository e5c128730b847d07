"""A closed terminal keeps nobody from stopping in good order."""

import os
import subprocess
import sys

from tools.devstack.options import ROOT


def test_a_closed_terminal_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    script = (
        "from tools.devstack.terminal import say, complain; say('hello'); complain('hello'); import os; os._exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=write, stderr=write, cwd=ROOT, check=False)
    os.close(write)
    assert done.returncode == 7
