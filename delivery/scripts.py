"""The Lua scripts, one verb per file.

``--@use _name`` stands for the text of a shared fragment: Redis has no ``require``.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("lua")
_USE = re.compile(r"^--@use (_\w+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A script as Redis knows it.

    :param name: its verb, for logs and metrics
    :param text: the whole Lua source
    :param sha: hex SHA-1 of the source, what EVALSHA takes
    """

    name: str
    text: str
    sha: str


def read(name: str) -> Script:
    """Put a script together from its file and the fragments it uses."""
    source = (FOLDER / f"{name}.lua").read_text()
    text = _USE.sub(lambda match: (FOLDER / f"{match[1]}.lua").read_text(), source)
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


LOAD = read("load")
SEND = read("send")
RECEIPT = read("receipt")
CLAIM = read("claim")
RENEW = read("renew")
RELEASE = read("release")
PRESENCE = read("presence")
COLLECT = read("collect")
ACKED = read("acked")
SETTLE = read("settle")
UNREAD = read("unread")
UNTOLD = read("untold")
MARK_READ = read("mark_read")
EXPIRE = read("expire")
EXPIRE_PHANTOMS = read("expire_phantoms")
SWEEP = read("sweep")
STUCK = read("stuck")
FORGET = read("forget")
TIDY = read("tidy")
TURN = read("turn")
WRITE = read("write")
ANSWERED = read("answered")
RATE_LIMIT = read("rate_limit")
RATE_FORGIVE = read("rate_forgive")
KNOW_PLACE = read("know_place")
