"""Links between files of the repository become links between pages of the site."""

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Final


class PageError(Exception):
    """A page that cannot be shown as it is written; says why."""


_LINK: Final = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
_CODE: Final = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_OUTSIDE: Final = re.compile(r"[a-z][a-z0-9+.-]*:")
FILES: Final = "files"
"""The folder of the site for what is linked and is no page."""


def rewrite(text: str, source: str, target: str, targets: Mapping[str, str]) -> tuple[str, set[str]]:
    """Rewrite the links of a page.

    :param source: the page's place in the repository
    :param target: its place in the site
    :param targets: of each page's source, where it goes
    :returns: the text, and the other files of the repository that it leads to
    """
    files: set[str] = set()

    def replaced(link: str) -> str:
        path, hash_sign, anchor = link.partition("#")
        if _OUTSIDE.match(link) or not path:
            return link
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        goal = targets.get(place) or targets.get(f"{place}/README.md")
        if goal is None:
            files.add(place)
            goal = f"{FILES}/{place}"
        return posixpath.relpath(goal, posixpath.dirname(target) or ".") + hash_sign + anchor

    return _outside_code(text, lambda part: _LINK.sub(lambda m: m[1] + replaced(m[2]) + m[3], part)), files


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Links may have code in their text, so code is put aside and not cut out."""
    kept: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    changed = change(_CODE.sub(put_aside, text))
    return re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], changed)
