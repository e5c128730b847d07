"""The page at ``/``: what is served, under which policy, and nothing but that."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.api import Api

WEB = Path(__file__).resolve().parents[2] / "web"
FILES = sorted(path.name for path in WEB.iterdir() if path.is_file())
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
}


class Page(HTMLParser):
    """What of a page the policy would forbid, what it loads, and which fields have which labels."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.loads: list[str] = []
        self.labels: set[str | None] = set()
        self.fields: set[str | None] = set()
        self.methods: set[str | None] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        if tag in {"script", "link"}:
            self.loads.append(given.get("src") or given.get("href") or "")
        if tag == "label":
            self.labels.add(given.get("for"))
        if tag in {"input", "textarea"}:
            self.fields.add(given.get("id"))
        if tag == "form":
            self.methods.add(given.get("method"))


async def test_the_page_is_served_under_a_strict_policy(api: Api) -> None:
    answer = await api.client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert set(answer.headers["content-security-policy"].split("; ")) == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.content == (WEB / "index.html").read_bytes()


async def test_every_file_is_served_with_its_type(api: Api) -> None:
    for name in FILES:
        print(name)
        answer = await api.client.get(f"/web/{name}")
        assert (answer.status_code, answer.content) == (200, (WEB / name).read_bytes())
        kind = {"html": "text/html", "css": "text/css", "js": "text/javascript"}[name.rsplit(".", 1)[1]]
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"


NOTHING = ["none.js", "..%2Fapp.py", "%2e%2e%2fapp.py", "../app.py", "app.js%00", "", "APP.JS"]


async def test_nothing_else_is_served(api: Api) -> None:
    for name in NOTHING:
        print(name)
        answer = await api.client.get(f"/web/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_cached_file_is_not_sent_again(api: Api) -> None:
    first = await api.client.get("/web/app.js")
    again = await api.client.get("/web/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await api.client.get("/web/api.js", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_the_page_keeps_its_own_policy_and_loads_only_its_own_files() -> None:
    page = Page((WEB / "index.html").read_text())
    assert page.inline == []
    assert sorted(page.loads) == ["data:,", "web/app.js", "web/style.css"], (
        "relative: there may be a path of a proxy's before them"
    )
    assert page.fields
    assert page.fields <= page.labels, "a field without a label"
    assert page.methods == {"post"}, "without scripts a form with GET would put the password into the address"


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_scripts_make_no_markup_from_texts_and_call_no_other_host(name: str) -> None:
    text = (WEB / name).read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|localStorage", text
    )
    assert not re.search(r"https?://", text)
    assert not re.search(r"""["'`]/[a-z]""", text), "an absolute path: there may be one of a proxy's before it"
    for module in re.findall(r'from "([^"]+)"', text):
        assert module.removeprefix("./") in FILES
