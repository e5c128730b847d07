"""The head of a request, held against RFC 9112 before Sanic reads it.

Sanic splits a head at line ends and colons and takes what it gets. A proxy in front may read the same bytes
differently; then the two disagree where a request ends, and the body of one becomes the next. So everything that the
standard says must be refused is refused here, and what is left has one meaning.
"""

import re
from typing import Final

from protocol.errors import ApiError

MAX_HEAD_BYTES: Final = 16 * 1024
"""A head, without the empty line that ends it, has fewer. Sites with single sign-on have cookies of 8 KiB and more."""

Fields = dict[bytes, list[bytes]]
"""Names in lower case, and the values of each in the order they came."""

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# Possessive: a head of 16 KiB that does not fit must not be tried in many ways. No line may begin with a space
# (obs-fold), no name may end with one, and no value holds a control character but the tab.
_HEAD: Final = re.compile(
    rb"(?:%b)++ [^\x00-\x20\x7f]++ HTTP/1\.[01](?:\r\n(?:%b)++:[\t\x20-\x7e\x80-\xff]*+)*+" % (_TOKEN, _TOKEN)
)
_FRAMING: Final = re.compile(rb"\r\n(host|content-length|transfer-encoding):[ \t]*([^\r]*)", re.IGNORECASE)
_HOST: Final = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*")
_DIGITS: Final = re.compile(rb"[0-9]+")
_CHUNK_LINE: Final = re.compile(rb"\r\n[0-9A-Fa-f]{1,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")


def bad_header(field: str, message: str) -> ApiError:
    """The refusal of a head that cannot be served.

    :param field: the header's name
    :param message: a sentence that repeats nothing of what the client sent
    """
    return ApiError("bad_request", [{"field": field, "message": message}])


def check_head(head: bytes) -> None:
    """Return if the head can be read in one way only.

    :param head: from the request line to before the empty line
    :raises ApiError: ``bad_request``
    """
    if _HEAD.fullmatch(head) is None:
        raise ApiError("bad_request")
    method, target, rest = head.split(b" ", 2)
    if target == b"*" and method != b"OPTIONS":
        raise ApiError("bad_request")
    old = rest.startswith(b"HTTP/1.0")
    hosts = 0
    for name, value in _FRAMING.findall(head):
        given = value.rstrip(b" \t")
        match name.lower():
            case b"host":
                hosts += 1
                if _HOST.fullmatch(given) is None:
                    raise bad_header("Host", "Host is not the name of a host.")
            case b"content-length":
                if _DIGITS.fullmatch(given) is None:
                    raise bad_header("Content-Length", "Content-Length is a number of bytes in ASCII digits.")
            case _:
                if old or given != b"chunked":
                    raise bad_header(
                        "Transfer-Encoding", "The only transfer coding read here is chunked, spelled so, in HTTP/1.1."
                    )
    if hosts > 1 or not (hosts or old):
        raise bad_header("Host", "A request of HTTP/1.1 has one Host header.")


def is_chunk_line(line: bytes) -> bool:
    """Whether this is the line end of the chunk before, a chunk's size in hexadecimal digits, and a line end."""
    return _CHUNK_LINE.fullmatch(line) is not None


def find_head_end(data: bytes | bytearray, start: int = 0) -> int:
    """Where the empty line begins that ends a head of fewer than ``MAX_HEAD_BYTES``; -1 where there is none."""
    return data.find(b"\r\n\r\n", start, MAX_HEAD_BYTES + 3)


def parse_fields(head: bytes) -> Fields:
    """The header fields of a head that :func:`check_head` accepted."""
    fields: Fields = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    return fields


def parse_list(values: list[bytes]) -> list[bytes]:
    """What a header lists, separated by commas, in one line or several; empty places left out."""
    return [each for line in values for item in line.split(b",") if (each := item.strip(b" \t"))]
