"""Freeze a process for some seconds, and thaw it whatever happens meanwhile to those who asked:

    python -m tools.demo.freeze LOCK PID BIRTH SECONDS

Returns as soon as it is frozen. Exit code 3: another one freezes something just now (it holds the file LOCK).
"""

import fcntl
import os
import signal
import sys
import time

from tools.devstack.process import birth

BUSY = 3
GONE = 4


def main(lock: str, pid: int, born: str, seconds: float) -> int:
    """The exit code."""
    with open(lock, "a", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return BUSY
        if birth(pid) != born:
            return GONE
        os.kill(pid, signal.SIGSTOP)
        if os.fork():
            return 0
        # From here on we are a process of our own, which no signal to those who asked reaches. It holds the lock.
        os.setsid()
        time.sleep(seconds)
        if birth(pid) == born:
            os.kill(pid, signal.SIGCONT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
