"""The pages of the site: where each comes from, where it goes, and the order in which the site shows them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.docs import frame_reference, http_reference, schema_files, settings_reference

ROOT: Final = Path(__file__).resolve().parents[2]
Generator = Callable[[], str]


@dataclass(frozen=True)
class Page:
    """``source`` is relative to the repository. Without ``generate`` it is a Markdown file that is taken as it is.

    With it, the text is generated; links to ``source`` lead to that text, too.
    """

    source: str
    target: str
    title: str
    generate: Generator | None = None

    def text(self) -> str:
        """The Markdown, before links are rewritten."""
        return self.generate() if self.generate else (ROOT / self.source).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Group:
    """Pages that belong together. The site shows the outer groups open, and those inside them closed."""

    title: str
    members: "tuple[Page | Group, ...]"

    def pages(self) -> "Iterator[Page]":
        """All of them, in their order."""
        for member in self.members:
            yield from member.pages() if isinstance(member, Group) else [member]


def _page(source: str, target: str, title: str = "") -> Page:
    return Page(source, target, title or heading((ROOT / source).read_text(encoding="utf-8")))


def heading(text: str) -> str:
    """The first heading of a page, in plain words.

    :raises ValueError: the page has none
    """
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    if not found:
        raise ValueError(f"no heading: {text[:80]!r}")
    return found[1].replace("`", "")


def _decisions() -> Iterator[Page]:
    yield _page("docs/decisions/README.md", "decisions/index.md", "All decisions")
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        yield _page(str(path.relative_to(ROOT)), f"decisions/{path.name}")


def _clients() -> Iterator[Page]:
    """Those that are there, and their examples."""
    for name, title in (("python", "Client in Python"), ("js", "Client in JavaScript")):
        if (ROOT / "clients" / name / "README.md").exists():
            yield _page(f"clients/{name}/README.md", f"clients/{name}.md", title)
    if (ROOT / "examples" / "README.md").exists():
        yield _page("examples/README.md", "examples.md", "Examples")


def _tools() -> Iterator[Page]:
    """All but the conformance run, which stands with the clients."""
    for path in sorted((ROOT / "tools").glob("*/README.md")):
        if path.parent.name == "conformance":
            continue
        yield _page(str(path.relative_to(ROOT)), f"tools/{path.parent.name}.md")


def _records() -> Iterator[Page]:
    """What runs of the tools have shown: written once, with a date."""
    for path in sorted((ROOT / "tools").glob("*/results/*.md")):
        tool, name = path.parts[-3], path.stem.lower().replace("readme", "index")
        title = f"{tool}: {'overview' if name == 'index' else name}"
        yield _page(str(path.relative_to(ROOT)), f"records/{tool}/{name}.md", title)


def groups() -> list[Group]:
    """All pages. The first one is the site's front page."""
    return [
        Group(
            "Start",
            (
                _page("docs/README.md", "index.md", "Documentation"),
                _page("README.md", "overview.md", "Overview"),
                _page("docs/start.md", "start.md"),
                _page("docs/demo.md", "demo.md", "The demo"),
                _page("docs/terminal.md", "terminal.md", "In the terminal"),
                _page("docs/message-flow.md", "message-flow.md"),
                _page("docs/comparison.md", "comparison.md", "Compared with others"),
            ),
        ),
        Group(
            "Build a client",
            (
                _page("docs/PROTOCOL.md", "protocol.md", "The protocol"),
                _page("docs/clients.md", "clients/index.md", "How a client behaves"),
                _page("docs/conformance.md", "clients/conformance.md"),
                _page("tools/conformance/README.md", "clients/conformance-run.md", "The conformance run"),
                *_clients(),
                Page("docs/http", "http.md", "HTTP reference", http_reference.page),
                Page("docs/frames", "frames.md", "Frame reference", frame_reference.page),
                _page("docs/machines.md", "machines.md"),
                Page("docs/schemas", "schemas.md", "JSON Schemas", schema_files.page),
                _page("docs/vectors/README.md", "vectors.md"),
                _page("docs/seed-dialect.md", "seed-dialect.md"),
                _page("docs/differences-from-the-original.md", "differences-from-the-original.md"),
            ),
        ),
        Group(
            "Run it",
            (
                _page("docs/OPERATIONS.md", "operations.md"),
                Page(".env.sample", "settings.md", "Settings", settings_reference.page),
                _page("docs/capacity.md", "capacity.md"),
                _page("docs/codes.md", "codes.md", "Codes that prove a number"),
                _page("docs/RELIABILITY.md", "reliability.md", "Reliability"),
                _page("docs/security.md", "security.md", "Security"),
                _page("SECURITY.md", "reporting.md", "Report a vulnerability"),
                _page("CHANGELOG.md", "changelog.md"),
            ),
        ),
        Group(
            "Change it",
            (
                _page("CONTRIBUTING.md", "contributing.md"),
                _page("docs/architecture.md", "architecture.md"),
                _page("docs/words.md", "words.md"),
                _page("docs/redis.md", "redis.md", "How Redis is reached"),
                _page("docs/limits.md", "limits.md", "What a message costs at least"),
                *_tools(),
                Group("Decisions", tuple(_decisions())),
                Group("Results of runs", tuple(_records())),
            ),
        ),
    ]


def pages() -> list[Page]:
    """The same without the groups."""
    return [page for group in groups() for page in group.pages()]
