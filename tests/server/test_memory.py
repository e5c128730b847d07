"""Memory goes back to the operating system. In a process of its own: what a test run has taken would hide it."""

import platform
import subprocess
import sys

import pytest

ACCOUNT = """
import ctypes, gc, os
from server.memory import give_back

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
gc.disable()

class Circle:
    def __init__(self):
        self.me, self.buffer = self, bytearray(2048)

crowd = [Circle() for _ in range(20_000)]
last = libc.malloc(2048)  # glibc gives back by itself what is free behind everything
full = resident()
del crowd
left = resident()
give_back()
print(full, left, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_what_a_crowd_took_is_given_back() -> None:
    run = subprocess.run([sys.executable, "-c", ACCOUNT], capture_output=True, text=True, check=True)
    full, left, now = map(int, run.stdout.split())
    taken = 20_000 * 2048
    assert full - left < taken / 10, "circles stay"
    assert left - now > taken * 0.8
