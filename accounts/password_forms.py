"""One password, however a keyboard writes it: RFC 8265 (OpaqueString), and what was hashed before that was done."""

import re
import unicodedata
from typing import Final

MAX_BYTES: Final = 72
"""What bcrypt can take, in UTF-8. More is refused: cutting would make two passwords one."""

# Every space separator but that of ASCII.
_SPACES: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def normalised(password: str) -> str:
    """In NFC, and each space that of ASCII: what one types as é on two systems is one password."""
    return unicodedata.normalize("NFC", _SPACES.sub(" ", password))


def forms(password: str) -> list[bytes]:
    """What a stored hash may be of, in UTF-8: the normal form, then the one given. Without those bcrypt cannot take.

    How many there are depends on the password alone, never on who has it.
    """
    written = dict.fromkeys((normalised(password), password))
    return [form for text in written if len(form := text.encode()) <= MAX_BYTES]
