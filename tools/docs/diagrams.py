"""Mermaid diagrams become SVG that is kept in the repository, so that the site needs no script to show them.

A code host draws the mermaid source itself. ``make`` draws anew what has changed; it needs npm and Chromium.
"""

import hashlib
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.docs.links import PageError

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "diagrams"
_FENCE: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE: Final = re.compile(r"^\s*accTitle: (.+)$", re.MULTILINE)


class DiagramError(PageError):
    """A diagram that cannot be shown."""


def sources(text: str) -> list[str]:
    """The diagrams of a page."""
    return _FENCE.findall(text)


def picture(source: str) -> Path:
    """Where the SVG of a diagram is kept. Its name is a digest of the source: an old picture is never shown."""
    return FOLDER / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.svg"


def title(source: str) -> str:
    """What a diagram shows, for people who do not see it.

    :raises DiagramError: it has no ``accTitle``
    """
    found = _TITLE.search(source)
    if not found:
        raise DiagramError(f"a diagram needs a line 'accTitle: …' that says what it shows:\n{source}")
    return found[1]


def replace(text: str) -> str:
    """Put the pictures in the place of the sources.

    :raises DiagramError: one is missing
    """
    return _FENCE.sub(lambda match: _figure(match[1]), text)


def _figure(source: str) -> str:
    path = picture(source)
    if not path.exists():
        raise DiagramError(
            f"{path.name} is missing: a diagram is new or has changed. Draw it: python3 run.py docs --draw\n{source}"
        )
    drawn = path.read_text(encoding="utf-8").strip().replace("\n", " ")
    return f'<div class="diagram" role="img" aria-label="{html.escape(title(source))}">{drawn}</div>'


def unused(texts: Iterator[str]) -> list[Path]:
    """Pictures that belong to no diagram of these pages."""
    wanted = {picture(source) for text in texts for source in sources(text)}
    return sorted(set(FOLDER.glob("*.svg")) - wanted)
