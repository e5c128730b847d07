"""Links between files become links between pages; what is no page is carried along; code is left alone."""

from tools.docs.links import rewrite

TARGETS = {
    "README.md": "overview.md",
    "docs/README.md": "index.md",
    "docs/PROTOCOL.md": "protocol.md",
    "docs/decisions/0001-x.md": "decisions/0001-x.md",
    "tools/bench/README.md": "tools/bench.md",
}


def rewritten(text: str, source: str) -> str:
    return rewrite(text, source, TARGETS[source], TARGETS)[0]


def test_a_link_leads_to_the_page_that_the_file_became() -> None:
    text = "[a](../README.md) [b](PROTOCOL.md#6-codes) [c](decisions/0001-x.md) [d](../tools/bench)"
    assert rewritten(text, "docs/README.md") == (
        "[a](overview.md) [b](protocol.md#6-codes) [c](decisions/0001-x.md) [d](tools/bench.md)"
    )
    assert rewritten("[up](../../README.md) [too](../PROTOCOL.md)", "docs/decisions/0001-x.md") == (
        "[up](../overview.md) [too](../protocol.md)"
    )


def test_other_sites_and_anchors_of_the_same_page_stay() -> None:
    text = "[a](https://example.org/README.md) [b](#words) [c](mailto:a@example.org)"
    assert rewritten(text, "README.md") == text


def test_a_file_that_is_no_page_is_carried_along() -> None:
    text, files = rewrite("![picture](docs/images/a.png) [code](app.py)", "README.md", "overview.md", TARGETS)
    assert text == "![picture](files/docs/images/a.png) [code](files/app.py)"
    assert files == {"docs/images/a.png", "app.py"}


def test_code_is_no_link_and_may_be_the_text_of_one() -> None:
    text = "`[a](README.md)`\n\n```sh\n[b](README.md)\n```\n\n[`code`](PROTOCOL.md)"
    assert rewritten(text, "docs/README.md") == text.replace("(PROTOCOL.md)", "(protocol.md)")
