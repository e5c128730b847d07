"""The page at ``/``: what is served, under which policy, and nothing but that."""

import hashlib
import posixpath
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from handlers import service_worker
from handlers.static_files import PAGE_FILES, WEB, read_file, without_comments
from handlers.web_client import page
from tests.support.api import Api

OURS = [name for name in PAGE_FILES if name.endswith(".js") and not name.startswith(("vendor/", "client/"))]
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webmanifest": "application/manifest+json",
}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "manifest-src 'self'",
    "worker-src 'self'",
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


async def test_a_program_around_it_may_show_the_page_in_a_frame() -> None:
    """As the demo does; the rest of the policy stays."""
    app = SimpleNamespace(ctx=SimpleNamespace(frame_ancestors="'self'"))
    request: Any = SimpleNamespace(app=app, args={}, headers={})
    answer = await page(request)
    assert set(answer.headers["Content-Security-Policy"].split("; ")) == POLICY - {"frame-ancestors 'none'"} | {
        "frame-ancestors 'self'"
    }


async def test_every_file_is_served_with_its_type(api: Api) -> None:
    assert {"app.js", "style.css", "vendor/preact.js"} <= set(PAGE_FILES)
    for name, path in PAGE_FILES.items():
        print(name)
        answer = await api.client.get(f"/web/{name}")
        assert answer.status_code == 200
        assert answer.content == read_file(path, "").body or name == service_worker.NAME, "which has its list filled in"
        assert answer.headers["content-type"] == TYPES[name.rsplit(".", 1)[1]]
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_page_learns_the_version_of_the_server(api: Api) -> None:
    answer = await api.client.get("/web/version.txt")
    described = (await api.client.get("/openapi.json")).json()
    assert (answer.status_code, answer.text) == (200, described["info"]["version"])


NOTHING = ["none.js", "..%2Fapp.py", "%2e%2e%2fapp.py", "../app.py", "app.js%00", "", "APP.JS", "docs/docs.js"]
NOTHING += ["vendor/README.md", "vendor%2Fpreact.js", "nowhere/app.js", "/app.js"]


async def test_nothing_else_is_served(api: Api) -> None:
    for name in NOTHING:
        print(name)
        answer = await api.client.get(f"/web/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_cached_file_is_not_sent_again(api: Api) -> None:
    first = await api.client.get("/web/app.js")
    again = await api.client.get("/web/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await api.client.get("/web/style.css", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_the_page_keeps_its_own_policy_and_loads_only_its_own_files() -> None:
    shell = Page((WEB / "index.html").read_text())
    assert shell.inline == []
    assert {"web/app.js", "web/style.css"} <= set(shell.loads)
    for name in set(shell.loads) - {"data:,"}:
        assert name.removeprefix("web/") in PAGE_FILES, "relative: there may be a path of a proxy's before them"


@pytest.mark.parametrize("name", OURS)
def test_scripts_make_no_markup_from_texts_and_call_no_other_host(name: str) -> None:
    text = (WEB / name).read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)
    assert not re.search(r"""["'`]https?://[a-z]""", text)
    assert not re.search(r"""["'`]/[a-z]""", text), "an absolute path: there may be one of a proxy's before it"
    for module in re.findall(r'(?:from|import) "([^"]+)"', text):
        assert posixpath.normpath(posixpath.join(posixpath.dirname(name), module)) in PAGE_FILES


def test_comments_are_left_out_and_nothing_else() -> None:
    script = b"// one\nlet a = 1; // two\n  /** three\n   * four */\nlet b = `\n${a} // five`;\n"
    assert without_comments(script, ".js") == b"\nlet a = 1;\n\nlet b = `\n${a} // five`;\n"
    string = b"""let c = "a; // b"; let d = 'http://c'; f(/[;] \\/\\/ d/); // isn't\n"""
    assert without_comments(string, ".js") == string
    assert without_comments(b"/* one\ntwo */\na { b: c; } /* d */\n", ".css") == b"\na { b: c; }\n"
    assert without_comments(b"/* a */", ".svg") == b"/* a */"
    for name, path in PAGE_FILES.items():
        if not name.endswith(".js"):
            continue
        text = path.read_text()
        for comment in re.finditer(r"^[ \t]*(//|/\*\*)|[;,{}()\[\]] // ", text, re.MULTILINE):
            before = without_comments(text[: comment.start()].encode(), ".js").decode()
            assert before.replace("\\`", "").count("`") % 2 == 0, f"{name}: in a template: {comment[0]}"


LIST_OF_FILES = ("`avatar client/api", "`client/api")  # of parts.js, which are split at spaces


def test_indentation_is_left_out_where_it_means_nothing() -> None:
    """A text over several lines that is no markup would lose it."""
    assert read_file(WEB / "style.css", "").body.startswith(b":root {\ncolor-scheme")
    for name, path in PAGE_FILES.items():
        if name.endswith(".js"):
            opened = re.findall(r"(?:[=,:?+>] |[(\[{]|return )(`[^`\n]*)\n", path.read_text())
            assert [text for text in opened if not text.startswith(LIST_OF_FILES)] == [], name


def test_the_library_is_the_one_that_is_noted() -> None:
    """``web/vendor/README.md`` says what it is made of."""
    noted = (WEB / "vendor" / "README.md").read_text()
    assert hashlib.sha256((WEB / "vendor" / "preact.js").read_bytes()).hexdigest() in noted
