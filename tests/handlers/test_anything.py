"""Anything at all, at every route: a coded answer of those in the table, never our own fault, never what was sent."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers import ROUTES
from protocol.errors import ERRORS
from tests.support.api import Api

CANARY = "zqCanaryqz"
TEXTS = st.text(max_size=80).map(lambda text: text + CANARY) | st.just(CANARY)
STRINGS = TEXTS | st.sampled_from(
    ["919800000001", "+91 98000 00001", "correct horse", "primary", "", "\ud800", "x" * 73]
)
FIELDS = st.sampled_from(
    ["name", "mobileNo", "password", "deviceId", "deviceName", "blockedUserMobileNo", "about", "mobileNos", CANARY]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=5,
)
FORMS = st.dictionaries(FIELDS, STRINGS | VALUES, max_size=6) | VALUES
BODIES = FORMS.map(lambda form: json.dumps(form).encode()) | st.binary(max_size=200).map(
    lambda data: data + b"zqCanaryqz"
)
TYPES = st.just(b"application/json") | st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40
).map(lambda text: f"{text}/{CANARY}".encode("latin-1"))
QUERIES = st.one_of(
    st.just(b""),
    STRINGS.map(lambda text: b"mobileNo=" + text.encode(errors="surrogatepass")),
    st.binary(max_size=60).map(lambda data: b"mobileNo=zqCanaryqz&" + data),
    st.binary(max_size=30).map(lambda data: b"mobileNo=91" + b"".join(b"%%%02X" % byte for byte in data)),
)
TOKENS = st.sampled_from(["whole", "spoiled", "none"]) | STRINGS.map(lambda text: f"!{text}")


@pytest.fixture
async def somebody(api: Api) -> dict[str, str]:
    """Headers of somebody logged in."""
    return await api.person("919800000009")


async def ask(api: Api, head: bytes, body: bytes) -> tuple[int, bytes]:
    """One request over a socket of its own: the status, and all that came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    answer = await asyncio.wait_for(reader.read(-1), 5)
    writer.close()
    return int(answer.split()[1]), answer


def bearer(headers: dict[str, str], token: str) -> bytes:
    """The header for a whole token, a spoiled one, none, or (after ``!``) any text."""
    whole = headers["Authorization"]
    if token == "none":
        return b""
    value = {"whole": whole, "spoiled": whole[:-2] + CANARY}.get(token, f"Bearer {token[1:]}")
    return b"Authorization: " + value.encode(errors="surrogatepass").replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"


@pytest.mark.parametrize(("method", "path"), [route[:2] for route in ROUTES], ids=[route[1] for route in ROUTES])
@given(BODIES, TYPES, QUERIES, TOKENS)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
async def test_any_request_gets_a_response_of_the_table(
    api: Api,
    somebody: dict[str, str],
    method: str,
    path: str,
    body: bytes,
    content_type: bytes,
    query: bytes,
    token: str,
) -> None:
    place = path.replace("<name:str>", CANARY)
    line = b"%s %s?%s HTTP/1.1\r\n" % (method.encode(), place.encode(), query)
    head = b"Host: x\r\nConnection: close\r\nContent-Type: %s\r\n" % content_type
    status, answer = await ask(api, line + head + bearer(somebody, token), body)
    assert CANARY.lower().encode() not in answer.lower()
    if status >= 400:
        found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (ERRORS[found["code"]].status, found["status"], status < 500) == (status, status, True)
