"""The headers of files that are served as they are."""

from types import SimpleNamespace
from typing import Any

from handlers.static_files import HTML, serve, static_file


def test_a_file_is_sent_until_it_is_known() -> None:
    file = static_file(b"text", HTML, "default-src 'none'")
    request: Any = SimpleNamespace(headers={})
    first = serve(request, file)
    assert (first.status, first.body, first.content_type) == (200, b"text", "text/html; charset=utf-8")
    assert first.headers["Content-Security-Policy"] == "default-src 'none'"
    assert (first.headers["X-Content-Type-Options"], first.headers["Cache-Control"]) == ("nosniff", "no-cache")
    request.headers = {"if-none-match": first.headers["ETag"]}
    assert serve(request, file).status == 304
    assert serve(request, static_file(b"other", HTML, "")).status == 200
