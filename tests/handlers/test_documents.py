"""Where the descriptions are served, under which policy; and that the viewer is the one its licence is for."""

import hashlib
import json
from pathlib import Path

from handlers.openapi import document
from protocol import asyncapi
from tests.support.api import Api

WEB = Path(__file__).resolve().parents[2] / "web" / "docs"


async def test_documents_are_served_as_they_were_made(api: Api) -> None:
    for path, made in (("/openapi.json", document()), ("/asyncapi.json", asyncapi.document())):
        answer = await api.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.content == made
        assert json.loads(answer.content)["info"]["version"]
        again = await api.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_the_viewer_may_run_nothing_but_itself_and_call_nobody_else(api: Api) -> None:
    page = await api.client.get("/docs")
    assert page.content == (WEB / "index.html").read_bytes()
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert "http" not in page.text.split("</head>")[0], "what it loads is ours"


async def test_its_files_are_served_and_nothing_else(api: Api) -> None:
    for name, kind in (("docs.css", "text/css"), ("docs.js", "text/javascript"), ("rapidoc-min.js", "text/javascript")):
        answer = await api.client.get(f"/docs/{name}")
        assert (answer.content, answer.headers["content-type"]) == (
            (WEB / name).read_bytes(), f"{kind}; charset=utf-8",
        )  # fmt: skip
    for name in ("README.md", "index.html", "..%2Findex.html"):
        assert (await api.client.get(f"/docs/{name}")).json()["code"] == "not_found"


async def test_a_slash_too_many_leads_to_the_page(api: Api) -> None:
    answer = await api.client.get("/docs/")
    assert (answer.status_code, answer.headers["location"]) == (308, "../docs")


def test_the_viewer_is_the_published_one() -> None:
    digest = hashlib.sha256((WEB / "rapidoc-min.js").read_bytes()).hexdigest()
    assert digest in (WEB / "README.md").read_text()
    assert "MIT License" in (WEB / "rapidoc-LICENSE.txt").read_text()
