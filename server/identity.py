"""The serverId: which worker process, in this run of it."""

import re
import secrets
import socket
from typing import Final

_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+")
ALONE: Final = "alone"


def make_server_id(worker: str) -> str:
    """``<host>.<worker>.<random>`` in ``A-Z a-z 0-9 . _ -``, at most 90 characters.

    Host and worker are for the people who read logs; only the random part tells two runs apart, because Sanic calls
    its workers the same on every host and after every restart.

    :param worker: Sanic's name of the worker process, empty outside of one
    """
    parts = (socket.gethostname()[:40], worker[:40] or ALONE)
    return ".".join([*(_ODD.sub("-", part) for part in parts), secrets.token_hex(4)])
