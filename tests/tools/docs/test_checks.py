"""A built site with anything wrong is refused, in a sentence that says what."""

import json
from pathlib import Path

import pytest

from tools.docs.checks import address, problems

PAGES = ["index.md", "a.md", "b/index.md"]
GOOD = {
    "index.html": '<a href="a/#there">a</a> <a href="./b/">b</a> <link rel="canonical" href="https://example.org/">',
    "a/index.html": '<h1 id="there">A</h1> <img src="../p.png" alt="A picture"> <a href="..">up</a>',
    "b/index.html": '<a href="https://example.org/">outside</a> <a href="../a/">a</a>',
    "p.png": "",
}


def site(folder: Path, changes: dict[str, str], searchable: str = ", a/, b/#x") -> Path:
    for name, text in (GOOD | changes).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    items = [{"location": each, "title": "", "text": ""} for each in searchable.split(", ")]
    (folder / "search.json").write_text(json.dumps({"items": items}), encoding="utf-8")
    return folder


def test_a_good_site_has_no_problem(tmp_path: Path) -> None:
    assert problems(site(tmp_path, {}), PAGES) == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("b/index.html", '<a href="../nowhere/">x</a>', "b/index.html: ../nowhere/ leads nowhere"),
        ("b/index.html", '<a href="../a/#gone">x</a>', "b/index.html: ../a/#gone names an anchor that is not there"),
        ("b/index.html", '<script src="//cdn.example/x.js">', "b/index.html loads //cdn.example/x.js from outside"),
        (
            "b/index.html",
            '<link rel="stylesheet" href="https://fonts.example/x.css">',
            "b/index.html loads https://fonts.example/x.css from outside",
        ),
        ("b/index.html", '<img src="../p.png">', "b/index.html: the picture ../p.png has no alt text"),
        ("index.html", '<a href="a/">a</a>', "no link leads to b/index.md"),
    ],
)
def test_each_problem_is_named(tmp_path: Path, name: str, text: str, expected: str) -> None:
    assert problems(site(tmp_path, {name: text}), PAGES) == [expected]


def test_a_page_that_the_search_does_not_know_is_named(tmp_path: Path) -> None:
    assert problems(site(tmp_path, {}, ", a/"), PAGES) == ["b/index.md is not in the search"]


def test_a_page_that_was_not_built_is_named(tmp_path: Path) -> None:
    assert "c.md was not built" in problems(site(tmp_path, {}), [*PAGES, "c.md"])


def test_addresses_are_those_of_folders() -> None:
    assert [address(page) for page in PAGES] == ["index.html", "a/index.html", "b/index.html"]
