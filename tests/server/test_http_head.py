"""Heads that can be read in two ways are refused. (On a real connection: test_http_protocol.)"""

import time

import pytest

from protocol.errors import ApiError
from server.http_head import MAX_HEAD_BYTES, check_head, find_head_end, is_chunk_line, parse_fields, parse_list


def head(*lines: bytes, first: bytes = b"POST /take HTTP/1.1", host: bytes = b"Host: x") -> bytes:
    return b"\r\n".join([first, *([host] if host else []), *lines])


@pytest.mark.parametrize(
    "good",
    [
        head(),
        head(b"Content-Length: 0"),
        head(b"Content-Length:5\t "),
        head(b"Transfer-Encoding: chunked"),
        head(b"X: ", b"Y:", b"Z:\ta\tb "),
        head(b"X: caf\xc3\xa9, \xff"),
        head(host=b"HOST: [::1]:5000"),
        head(host=b"Host:"),
        head(first=b"GET / HTTP/1.0", host=b""),
        head(first=b"GET http://x/y?z HTTP/1.1"),
        head(first=b"OPTIONS * HTTP/1.1"),
        head(b"not!#$%&'*+-.^_`|~an-ordinary-name: 1"),
    ],
)
def test_what_the_standard_allows_passes(good: bytes) -> None:
    check_head(good)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        head(b"Content-Length : 5"),
        head(b"Content-Length\t: 5"),
        head(b"Transfer-Encoding : chunked"),
        head(b" Content-Length: 5"),
        head(b"X: 1", b" Content-Length: 5"),
        head(b"X: 1", b"\tContent-Length: 5"),
        head(b": no name"),
        head(b"no colon"),
        head(b""),
        head(b"X: a\nContent-Length: 5"),
        head(b"X: a\rContent-Length: 5"),
        head(b"X: \0"),
        head(b"X: \x0b"),
        head(b"X: \x7f"),
        head(b"(X): 1"),
        head(b"X\xc3\xa9: 1"),
        head("Content-Length: ٥".encode()),
        head("Content-Length: \u00a05".encode()),
        head(b"Content-Length: +5"),
        head(b"Content-Length: -5"),
        head(b"Content-Length: 1_0"),
        head(b"Content-Length: 0x5"),
        head(b"Content-Length: 5, 5"),
        head(b"Content-Length: 5 5"),
        head(b"Content-Length:"),
        head(b"Transfer-Encoding: gzip, chunked"),
        head(b"Transfer-Encoding: identity"),
        head(b"Transfer-Encoding: Chunked"),  # Sanic does not know it as its own
        head(b"Transfer-Encoding: \x0bchunked"),
        head("Transfer-Encoding: \u00a0chunked".encode()),
        head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"),
        head(host=b""),
        head(b"Host: y"),
        head(b"host: x"),
        head(b"HOST: x", first=b"GET / HTTP/1.0"),
        head(host=b"Host: a/b"),
        head(host=b"Host: a b"),
        head(host=b"Host: a@b"),
        head(first=b"GET / HTTP/1.2"),
        head(first=b"GET / HTTP/9.9"),
        head(first=b"GET / http/1.1"),
        head(first=b"PRI * HTTP/2.0"),
        head(first=b"GET  / HTTP/1.1"),
        head(first=b"GET /a b HTTP/1.1"),
        head(first=b"GET /"),
        head(first=b"GET * HTTP/1.1"),
        head(first=b"G(T / HTTP/1.1"),
        head(first=b"GET /\x01 HTTP/1.1"),
    ],
)
def test_what_it_forbids_is_refused(bad: bytes) -> None:
    with pytest.raises(ApiError, match="bad_request"):
        check_head(bad)


@pytest.mark.parametrize("end", [b"\x00", b"", b"\r\n "])
def test_a_long_head_is_looked_at_once(end: bytes) -> None:
    long = [
        b"X: " + b"a" * (MAX_HEAD_BYTES - 200) + end,
        b"\r\n".join([b"X: 1" + end] * 2700),
        b"X" * MAX_HEAD_BYTES + end,
    ]
    started = time.process_time()
    for line in long:
        try:
            check_head(head(line))
        except ApiError:
            continue
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize("line", [b"\r\n0\r\n", b"\r\nfF\r\n", b"\r\n5;name=value\r\n", b"\r\n000000000000005\r\n"])
def test_a_chunk_begins_with_its_size(line: bytes) -> None:
    assert is_chunk_line(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"ab5\r\n",
        b"\r\n\r\n",
        b"\r\n0x32\r\n",
        b"\r\n5 \r\n",
        b"\r\n 5\r\n",
        b"\r\n-5\r\n",
        b"\r\n5_0\r\n",
        "\r\n٥\r\n".encode(),
        b"\r\n5;\x00\r\n",
        b"\r\n5;a\n\r\n",
        b"\r\n;\r\n",
        b"\r\n1000000000000000\r\n",
    ],
)
def test_and_with_nothing_else(line: bytes) -> None:
    assert not is_chunk_line(line)


def test_fields_are_read_by_name_whatever_its_case() -> None:
    fields = parse_fields(head(b"X: a ,b", b"x:\tc\t", b"Y:"))
    assert fields == {b"host": [b"x"], b"x": [b"a ,b", b"c"], b"y": [b""]}
    assert parse_list(fields[b"x"]) == [b"a", b"b", b"c"]
    assert parse_list(fields[b"y"]) == []


def test_a_head_ends_at_the_empty_line_or_is_too_long() -> None:
    assert find_head_end(b"a\r\n\r\nb\r\n\r\n") == 1
    assert find_head_end(b"a" * (MAX_HEAD_BYTES - 1) + b"\r\n\r\n") == MAX_HEAD_BYTES - 1
    assert find_head_end(b"a" * MAX_HEAD_BYTES + b"\r\n\r\n") == -1
