"""The documentation: every link leads somewhere, every decision is listed, and the words are plain."""

import re
from pathlib import Path

import pytest

from settings import Settings

ROOT = Path(__file__).resolve().parents[1]
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "tools").glob("*/README.md")),
    *sorted((ROOT / "clients").glob("*/README.md")),
    *sorted((ROOT / "examples").glob("README.md")),
]
CHARACTERS_A_LINE = 120
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PERSONAL = re.compile(r"\b(he|his|him|whoever)\b", re.IGNORECASE)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    """Without code, where the words are somebody else's, and without comments, which a code host does not show."""
    return re.sub(r"`[^`\n]*`|<!--.*?-->", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings)
    return {each.replace(" ", "-") for each in kept}


def broken_links(page: Path, text: str) -> list[str]:
    """Links to files or headings that are not there. Other sites are not asked."""
    broken = []
    for link in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        found = target.exists() and (not anchor or anchor in anchors(text if not path else target.read_text("utf-8")))
        if not found:
            broken.append(link)
    return broken


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A heading: here\n", encoding="utf-8")
    good = "[a](page.md) [b](page.md#a-heading-here) [c](https://example.org/x) `[d](nowhere.md)`\n"
    assert broken_links(page, good) == []
    assert broken_links(page, "[a](other.md) [b](page.md#there) [c](#here)\n") == ["other.md", "page.md#there", "#here"]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_lines_outside_of_tables_fit_a_screen(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [each for each in lines if len(each) > CHARACTERS_A_LINE and not each.startswith("|")] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nobody_is_a_he(page: Path) -> None:
    assert PERSONAL.findall(prose(page.read_text(encoding="utf-8"))) == []


def lost_paths(text: str) -> list[str]:
    """Paths of this repository's files and folders that a page names and that are not there."""
    folders = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    paths = [each for each in CODE.findall(text) if re.fullmatch(rf"({folders})(/[\w.*-]+)+/?", each)]
    return [path for path in paths if not list(ROOT.glob(path.rstrip("/")))]


def test_a_lost_path_is_found() -> None:
    assert lost_paths("`tests/test_docs.py` `tests/test_d*` `docs/` `docs/decisions/` `/tmp/x.py` `v1/x`") == []
    assert lost_paths("see `tests/nowhere.py` and `docs/nothing/`") == ["tests/nowhere.py", "docs/nothing/"]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    assert lost_paths(page.read_text(encoding="utf-8")) == []


def test_each_attacker_has_tests_or_is_said_not_to_be_defended_against() -> None:
    """That the files exist is tested above, for every page."""
    page = (
        (ROOT / "docs" / "security.md").read_text(encoding="utf-8").partition("## Attackers")[2].partition("\n## ")[0]
    )
    title, *attackers = page.split("\n### ")
    assert not title.strip()
    assert len(attackers) >= 14
    for attacker in attackers:
        print(attacker.partition("\n")[0])
        assert [path for path in CODE.findall(attacker) if path.startswith("tests/")]
        assert "*Not defended" in attacker or "### Somebody between" in f"### {attacker}"


def test_the_message_flow_names_code_that_exists() -> None:
    page = (ROOT / "docs" / "message-flow.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "delivery").rglob("*.py")]
    scripts = {path.name for path in (ROOT / "delivery" / "lua").glob("*.lua")}
    named = set(CODE.findall(page))
    classes = sorted(each for each in named if re.fullmatch(r"[A-Z]\w+(\.\w+)?", each))
    assert len(classes) >= 10
    for each in classes:
        cls, _, method = each.partition(".")
        homes = [source for source in sources if re.search(rf"^class {cls}\b", source, re.MULTILINE)]
        assert [source for source in homes if not method or f"    def {method}(" in source], each
    assert {each for each in named if each.endswith(".lua")} <= scripts


def test_the_log_messages_that_operators_look_for_are_in_the_code() -> None:
    page = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    table = page.partition("| the log says | meaning |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.+?`) \| ", table, re.MULTILINE)
    messages = [message for row in rows for message in CODE.findall(row.partition(" with ")[0])]
    assert len(messages) >= 5
    folders = ("accounts", "background", "delivery", "handlers", "models", "server", "workers")
    code = "".join(path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert [message for message in messages if f'"{message}' not in code] == []


def test_the_limits_that_the_protocol_names_are_the_defaults() -> None:
    page = (ROOT / "docs" / "PROTOCOL.md").read_text(encoding="utf-8").partition("\n### Limits\n")[2]
    rows = re.findall(r"^\|.*\| ([\d,]+) \| ([\d,]+) an? \w+ \| (.+) \|$", page.partition("\n### ")[0], re.MULTILINE)
    assert len(rows) == 12
    for at_once, then, settings in rows:
        for name in CODE.findall(settings):
            expected = at_once if name.endswith("_BURST") else then
            assert Settings.model_fields[name.lower()].default == int(expected.replace(",", "")), name


def test_the_index_lists_every_decision_with_its_title() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    titles = [path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for path in RECORDS]
    rows = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \|$", index, re.MULTILINE)
    assert [(f"{number}. {title}", file) for number, title, file in rows] == [
        (title, path.name) for title, path in zip(titles, RECORDS, strict=True)
    ]
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1)), "none is missing, none twice"


def test_the_index_of_the_documentation_lists_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"]
    assert [page for page in pages if f"]({page})" not in index] == []
