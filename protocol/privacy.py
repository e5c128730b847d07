"""What a person lets others see of them: as the accounts store it, as Redis holds it, and as HTTP says it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

Audience = Literal["everyone", "contacts", "nobody"]
"""Contacts of a person are those they wrote to."""

_LETTERS: Final[dict[Audience, str]] = {"everyone": "e", "contacts": "c", "nobody": "n"}
_AUDIENCES: Final = {letter: audience for audience, letter in _LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Privacy:
    """A person's settings.

    :param last_seen: who may see when they were last online
    :param online: who may see that they are online, and that they type
    :param read_receipts: whether senders are told what this person read, and this person what others read
    :param stranger_receipts: whether people to whom this person never wrote get receipts
    """

    last_seen: Audience = "everyone"
    online: Audience = "everyone"
    read_receipts: bool = True
    stranger_receipts: bool = True

    def encode(self) -> str:
        """Four characters; "" for a person who hides nothing, so that most people take no memory for it."""
        if self == OPEN:
            return ""
        return f"{_LETTERS[self.last_seen]}{_LETTERS[self.online]}{self.read_receipts:d}{self.stranger_receipts:d}"


OPEN: Final = Privacy()
"""Of a person who changed nothing: as in the original, where nothing could be hidden."""


@lru_cache(maxsize=64)
def decode_privacy(text: str) -> Privacy:
    """What :meth:`Privacy.encode` wrote.

    :raises KeyError, ValueError: it did not
    """
    if not text:
        return OPEN
    last_seen, online, read_receipts, stranger_receipts = list(text)
    return Privacy(_AUDIENCES[last_seen], _AUDIENCES[online], read_receipts == "1", stranger_receipts == "1")
