"""Writes the tree that the site generator reads: every page at its place in the site, with links to match."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.docs import diagrams
from tools.docs.contents import ROOT, Group, Page, pages
from tools.docs.links import FILES, PageError, rewrite

ASSETS: Final = Path(__file__).resolve().parent / "assets"
_ON_THE_SITE: Final = re.compile(r"<!-- on the site: (.*?) -->", re.DOTALL)
"""What only the site can say, such as a link to a page that is generated."""


def stage(folder: Path) -> list[Page]:
    """Write everything anew; what did not change keeps its time, so that a preview reloads only what did.

    :returns: the pages
    :raises PageError: a page leads to a file that is not there, or a diagram has no picture
    """
    found = pages()
    targets = {page.source: page.target for page in found}
    written = {folder / page.target: _page(page, targets) for page in found}
    files = {file for _, linked in written.values() for file in linked}
    missing = sorted(file for file in files if not (ROOT / file).is_file())
    if missing:
        raise PageError(f"pages lead to what is no file of this repository: {', '.join(missing)}")
    for path, (text, _) in written.items():
        _write(path, text.encode())
    copies = {_place(folder, file): ROOT / file for file in files}
    copies |= {folder / "assets" / path.name: path for path in ASSETS.iterdir()}
    for path, original in copies.items():
        _write(path, original.read_bytes())
    _remove_others(folder, {*written, *copies})
    return found


def _page(page: Page, targets: dict[str, str]) -> tuple[str, set[str]]:
    text, files = rewrite(_ON_THE_SITE.sub(r"\1", page.text()), page.source, page.target, targets)
    return diagrams.replace(text), files


def _place(folder: Path, file: str) -> Path:
    return folder / FILES / file


def _write(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _remove_others(folder: Path, wanted: set[Path]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            shutil.rmtree(path)


def navigation(members: Sequence[Page | Group]) -> list[dict[str, object]]:
    """As the generator's configuration has it."""
    return [{each.title: navigation(each.members) if isinstance(each, Group) else each.target} for each in members]
