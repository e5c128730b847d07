"""The whole site is built without a warning, and a mistake in a page is one."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import descendants, living
from tools.devstack.probe import http_status
from tools.devstack.process import wait_until
from tools.docs import contents, diagrams, site
from tools.docs.checks import address, search_index
from tools.docs.contents import ROOT, Group, Page, heading, pages
from tools.docs.links import PageError


def test_the_search_knows_each_page_to_its_end(built_site: Path) -> None:
    """By the words of its heading, and by the last long word of its text."""
    index = search_index(built_site)
    for page in pages():
        text = re.sub(r"^```.*?^```|\]\([^)]*\)|<!--.*?-->", "", page.text(), flags=re.MULTILINE | re.DOTALL)
        words = re.findall(r"[a-z]{4,}", heading(text).lower()) if text.startswith("# ") else []
        for word in [*words, re.findall(r"\b[a-z]{5,}\b", text)[-1]]:
            assert word in index[address(page.target)].lower(), page.source


def test_every_markdown_file_of_the_documentation_is_a_page() -> None:
    sources = [page.source for page in pages()]
    assert len(sources) == len(set(sources)), "each page is there once"
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "clients").glob("*/README.md")]
    assert [str(path.relative_to(ROOT)) for path in files if str(path.relative_to(ROOT)) not in sources] == []
    targets = [page.target for page in pages()]
    assert len(targets) == len(set(targets))


@pytest.fixture
def with_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """The text of the second page of a site of two; the site that is there before is to stay."""
    texts: list[str] = []
    front = Page("docs/front", "index.md", "Front", lambda: "# Front\n\n[more](more)\n")
    every = [Group("All", (front, Page("docs/more", "more.md", "More", lambda: texts[0])))]
    monkeypatch.setattr(contents, "groups", lambda: every)
    monkeypatch.setattr(site, "groups", lambda: every)
    (tmp_path / "site").mkdir()
    yield texts
    assert list(tmp_path.iterdir()) == [tmp_path / "site"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# More\n\n[x](front#nowhere)\n", "anchor does not exist"),
        ("# More\n\n![](images/page.png)\n", "has no alt text"),
        ('# More\n\n<script src="https://cdn.example/x.js"></script>\n', "from outside"),
    ],
)
def test_a_mistake_in_a_page_fails_the_build(with_page: list[str], tmp_path: Path, text: str, expected: str) -> None:
    with_page.append(text)
    with pytest.raises(site.SiteError, match=expected):
        site.build(tmp_path / "site")


def test_a_link_to_a_file_that_is_not_there_fails_the_build(with_page: list[str], tmp_path: Path) -> None:
    with_page.append("# More\n\n[x](../nowhere.py) [y](../tests)\n")
    with pytest.raises(PageError, match=r"nowhere\.py, tests"):
        site.build(tmp_path / "site")


def test_a_diagram_without_a_picture_or_a_title_fails_the_build(with_page: list[str], tmp_path: Path) -> None:
    with_page.append("# More\n\n```mermaid\nflowchart LR\n    accTitle: New\n    a --> b\n```\n")
    with pytest.raises(diagrams.DiagramError, match="is missing"):
        site.build(tmp_path / "site")
    with pytest.raises(diagrams.DiagramError, match="accTitle"):
        diagrams.title("flowchart LR\n    a --> b\n")


def test_the_preview_takes_a_free_port_and_leaves_nothing_behind(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def shown() -> str:
        """The address that it printed."""
        return "".join(re.findall(r"^(http://127\.0\.0\.1:\d+/) shows", log.read_text(encoding="utf-8"), re.MULTILINE))

    with socket.create_server(("127.0.0.1", 0)) as taken, log.open("wb") as output:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "tools.docs", "--serve", "--port", str(port)]
        env = {**os.environ, "TMPDIR": str(tmp_path)}
        with subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output) as preview:
            try:
                assert wait_until(lambda: bool(shown()), 60)
                assert wait_until(lambda: http_status(shown()) == 200, 120)
                children = descendants(preview.pid)
            finally:
                preview.terminate()
    assert f"port {port} is taken" in log.read_text(encoding="utf-8")
    assert children
    assert (preview.returncode, living(children), list(tmp_path.iterdir())) == (143, [], [log])


def test_no_picture_of_a_diagram_is_left_over() -> None:
    assert diagrams.unused(page.text() for page in pages()) == []
