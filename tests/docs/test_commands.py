"""Every command that the documentation prints is run, or the page says why not."""

import os
from pathlib import Path

import pytest

from tests.support.documented import ROOT, Reader, as_run, blocks
from tests.support.stack import Stack
from tools.devstack.probe import free_port
from tools.docs.contents import pages

SOURCES = [page.source for page in pages() if not page.generate and "/results/" not in page.source]
OWN_PRODUCT = "sanic app"
"""A page that starts the product itself needs its storage only."""


def text_of(source: str) -> str:
    return (ROOT / source).read_text(encoding="utf-8")


RUN_HERE = [
    source
    for source in SOURCES
    if any(block.is_for_running and not block.reason and not block.other_test for block in blocks(text_of(source)))
]


@pytest.mark.parametrize("source", RUN_HERE)
def test_the_commands_of_a_page_do_what_it_says(source: str, stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    folder.mkdir()
    text = text_of(source)
    if any(OWN_PRODUCT in block.text for block in blocks(text)):
        reader = Reader(folder, stack.env, free_port())
    else:
        reader = Reader(folder, dict(os.environ), stack.start(workers=1).port)
    with reader:
        assert reader.read(text) > 0


def test_what_is_not_run_says_why_and_is_little() -> None:
    reasons = {f"{source}: {block.reason}" for source in SOURCES for block in blocks(text_of(source)) if block.reason}
    print("\n".join(sorted(reasons)))
    assert all(len(reason.partition(": ")[2]) > 10 for reason in reasons)
    assert len(reasons) < 20


def test_what_another_test_runs_is_named_there() -> None:
    named = [(source, block.other_test) for source in SOURCES for block in blocks(text_of(source)) if block.other_test]
    assert named
    assert [(page, test) for page, test in named if Path(page).name not in (ROOT / test).read_text("utf-8")] == []


def test_only_the_port_and_the_start_of_our_own_programs_are_changed() -> None:
    printed = "curl http://127.0.0.1:5000/x; sanic app --port=5000 --workers=5000; python3 run.py docs; python3 run.py"
    assert as_run(printed, 6001) == (
        "curl http://127.0.0.1:6001/x; sanic app --port=6001 --workers=5000; python -m tools.docs; python3 run.py"
    )


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path, dict(os.environ), 6001)


def test_a_page_is_read_as_a_person_reads_it(reader: Reader, tmp_path: Path) -> None:
    page = (
        "```sh\nword=there\n```\n\n```sh\necho hello $word\n```\n\n```text\nhello there\n```\n\n"
        "<!-- file: asks.py -->\n```python\nprint('ready', flush=True)\nprint('got', input(), flush=True)\n```\n\n"
        "<!-- terminal 1: until ready -->\n```sh\npython asks.py\n```\n\n"
        "<!-- terminal 1: until got -->\n```json\n{}\n```\n\n"
        "<!-- not run: it would end the world -->\n```sh\nfalse\n```\n"
    )
    with reader:
        assert reader.read(page) == 4
    assert (tmp_path / "asks.py").exists()


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("```sh\nfalse\necho on\n```\n", "does not show"),
        ("```python\nraise SystemExit(3)\n```\n", "does not show"),
        ("```sh\necho a\n```\n\n```text\nb\n```\n", "not printed"),
        ("<!-- terminal 1: until never -->\n```sh\nexit\n```\n", "does not show 'never'"),
    ],
)
def test_what_does_not_do_what_the_page_says_fails(reader: Reader, page: str, expected: str) -> None:
    with reader, pytest.raises(AssertionError, match=expected):
        reader.read(page)
