"""The headers of files that are served as they are."""

import gzip
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


def test_a_file_is_packed_for_clients_that_take_that() -> None:
    text = b"text " * 100
    file = static_file(text, HTML, "")
    plain, packed = (serve(_asking(takes), file) for takes in ("br;q=1.0, gzip;q=0", "deflate, gzip;q=0.5"))
    assert plain.body == text
    assert packed.body is not None
    assert gzip.decompress(packed.body) == text
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] != packed.headers["ETag"], "other bytes"
    again = _asking("gzip")
    again.headers["if-none-match"] = packed.headers["ETag"]
    assert serve(again, file).status == 304


def test_what_packing_does_not_make_smaller_stays_as_it_is() -> None:
    for file in (static_file(b"x", HTML, ""), static_file(b"x" * 1000, "image/png", "")):
        assert "Content-Encoding" not in serve(_asking("gzip"), file).headers


def _asking(takes: str) -> Any:
    return SimpleNamespace(headers={"accept-encoding": takes})
