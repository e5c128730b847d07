"""What a built site must be: every link leads somewhere, nothing comes from outside, every page is found."""

import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_LOADS: Final = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}
"""Elements that fetch by themselves. ``link`` does for some values of ``rel``."""
_FETCHING_RELS: Final = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "prefetch", "manifest"}


class PageReader(HTMLParser):
    """Collects of one page what is checked."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.without_alt: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See :class:`HTMLParser`."""
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.ids.add(values["id"])
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        if tag in _LOADS and values.get(_LOADS[tag]):
            self.loaded.add(values[_LOADS[tag]])
        if tag == "link" and _FETCHING_RELS & set(values.get("rel", "").split()):
            self.loaded.add(values["href"])
        if tag == "img" and not values.get("alt", "").strip():
            self.without_alt.append(values.get("src", "?"))


def problems(site: Path, pages: Sequence[str]) -> list[str]:
    """Everything that is wrong, in sentences.

    :param pages: the Markdown files that the site was made of, relative to its root
    """
    read = {str(path.relative_to(site)): PageReader(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [f"{page} was not built" for page in pages if address(page) not in read]
    for name, page in read.items():
        if name != "404.html":  # its addresses are absolute, since it is shown at every path
            found += _broken(site, read, name, page)
        found += [f"{name} loads {each} from outside" for each in sorted(page.loaded) if urlsplit(each).netloc]
        found += [f"{name}: the picture {each} has no alt text" for each in page.without_alt]
    reachable = _reachable(read)
    found += [f"no link leads to {page}" for page in pages if address(page) not in reachable]
    searchable = set(search_index(site))
    return found + [f"{page} is not in the search" for page in pages if address(page) not in searchable]


def address(page: str) -> str:
    """Where a Markdown file's HTML is, relative to the site's root."""
    folder, name = posixpath.split(page)
    stem = name.removesuffix(".md")
    return posixpath.join(folder, "index.html" if stem == "index" else f"{stem}/index.html")


def search_index(site: Path) -> dict[str, str]:
    """The text that the search knows of each page, by the address of its HTML."""
    texts: dict[str, str] = {}
    for item in json.loads((site / "search.json").read_text("utf-8"))["items"]:
        name = _goal("index.html", item["location"])[0]
        texts[name] = f"{texts.get(name, '')} {item['title']} {item['text']}"
    return texts


def _goal(name: str, link: str) -> tuple[str, str]:
    """The file that a link of a page leads to, and the anchor there."""
    parts = urlsplit(link)
    if not parts.path:
        return name, unquote(parts.fragment)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
    is_folder = parts.path.endswith(("/", "..", ".")) or path == "."
    return posixpath.normpath(posixpath.join(path, "index.html")) if is_folder else path, unquote(parts.fragment)


def _inside(page: PageReader) -> Iterator[str]:
    return (
        link for link in sorted(page.links | page.loaded) if not urlsplit(link).scheme and not urlsplit(link).netloc
    )


def _broken(site: Path, read: Mapping[str, PageReader], name: str, page: PageReader) -> Iterator[str]:
    for link in _inside(page):
        goal, anchor = _goal(name, link)
        if not (site / goal).is_file():
            yield f"{name}: {link} leads nowhere"
        elif anchor and goal in read and anchor not in read[goal].ids:
            yield f"{name}: {link} names an anchor that is not there"


def _reachable(read: Mapping[str, PageReader]) -> set[str]:
    """The pages that one gets to from the front page, link by link."""
    seen, waiting = {"index.html"}, ["index.html"]
    while waiting:
        name = waiting.pop()
        goals = {_goal(name, link)[0] for link in _inside(read[name])} if name in read else set()
        waiting += goals - seen
        seen |= goals
    return seen
