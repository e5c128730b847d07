"""What all people of a population share."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence

from tools.chaos.history import History
from tools.chaos.web import Web


class Crowd:
    """Where the servers are, where things are written down, and the numbers that must differ.

    :param addresses: ``http://host:port`` of each server group; may be replaced at any time
    """

    def __init__(self, history: History, addresses: Sequence[str], rng: random.Random) -> None:
        self.history = history
        self.addresses = list(addresses)
        self.rng = rng
        self.web = Web(lambda: self.addresses, rng)
        self.connections = itertools.count(1)
        self.sessions = itertools.count(1)
        self.count: Counter[str] = Counter()
        """``begun``, ``acknowledged``, ``delivered``, ``receipts``: of chats, each once."""
        self.mobiles: list[str] = []
        self.storage_lost = False
        """Whether a client was told that storage lost something."""

    def number(self) -> str:
        """A mobile number that perhaps nobody has."""
        return str(self.rng.randrange(8_000_000_000, 9_000_000_000))

    def somebody(self) -> str:
        """Anybody's number."""
        return self.rng.choice(self.mobiles)
