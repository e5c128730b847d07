"""The webhook: what is posted, how it is signed, when it is tried again, and that no receiver makes anybody wait."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from delivery import webhooks
from delivery.webhooks import CodeWebhook, signature
from protocol.errors import ApiError
from tests.support.processes import patient

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
A = "919800000001"
EXPIRES = datetime(2026, 11, 24, 5, 30, 55, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "PAUSE_SECONDS", 0.01)


class Receiver:
    """An HTTP server that answers what a test says."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[bytes | None] = []
        """The next ones; None: never. Then 204."""
        self.port = 0
        self.open = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/codes?to=sms"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append((first, headers, body))
            answer = self.answers.pop(0) if self.answers else _answer(204)
            if answer is None:
                await reader.read()  # until the client gives up
            else:
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.open -= 1
            writer.close()


def _answer(status: int, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n{more}\r\n".encode()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
async def webhook(receiver: Receiver) -> AsyncIterator[CodeWebhook]:
    made = CodeWebhook(receiver.url, SECRET, 1.0)
    yield made
    await made.close()


async def _refused(webhook: CodeWebhook) -> float:
    """After how many seconds."""
    started = time.monotonic()
    with pytest.raises(ApiError, match="code_not_sent") as caught:
        await webhook.send(A, "042195", EXPIRES)
    assert caught.value.spec.retryable
    return time.monotonic() - started


def test_signatures_are_those_of_the_specification() -> None:
    """The example of its reference implementations."""
    body = b'{"test": 2432232314}'
    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_code_is_posted_and_signed(webhook: CodeWebhook, receiver: Receiver) -> None:
    await webhook.send(A, "042195", EXPIRES)
    ((first, headers, body),) = receiver.requests
    assert first == "POST /codes?to=sms HTTP/1.1"
    assert headers["content-type"] == "application/json"
    said: dict[str, Any] = json.loads(body)
    assert said["type"] == "code.requested"
    assert abs(datetime.fromisoformat(said["timestamp"]).timestamp() - time.time()) < 5
    assert said["data"] == {"mobileNo": A, "code": "042195", "expiresAt": "2026-11-24T05:30:55Z"}
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize("first", [_answer(500), _answer(503), _answer(429), b"", b"nonsense\r\n\r\n"])
async def test_what_may_pass_is_tried_again_under_the_same_id(
    webhook: CodeWebhook, receiver: Receiver, first: bytes
) -> None:
    receiver.answers = [first, first]
    await webhook.send(A, "042195", EXPIRES)
    assert len(receiver.requests) == 3
    assert len({headers["webhook-id"] for _, headers, _ in receiver.requests}) == 1
    await webhook.send(A, "042195", EXPIRES)
    assert receiver.requests[-1][1]["webhook-id"] != receiver.requests[0][1]["webhook-id"]


async def test_three_attempts_are_all(webhook: CodeWebhook, receiver: Receiver) -> None:
    receiver.answers = [_answer(500)] * 5
    await _refused(webhook)
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("answer", [_answer(400), _answer(401), _answer(404), _answer(301, "Location: /x\r\n")])
async def test_a_refusal_is_final_and_redirects_are_not_followed(
    webhook: CodeWebhook, receiver: Receiver, answer: bytes
) -> None:
    receiver.answers = [answer] * 3
    await _refused(webhook)
    assert len(receiver.requests) == 1


async def test_a_receiver_that_is_silent_makes_nobody_wait_longer_than_the_deadline(receiver: Receiver) -> None:
    webhook = CodeWebhook(receiver.url, SECRET, 0.5)
    receiver.answers = [None] * 3
    assert 0.4 < await _refused(webhook) < patient(2)
    await webhook.close()


async def test_a_receiver_that_drips_its_answer_neither(unused_tcp_port: int) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            while True:
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", unused_tcp_port)
    webhook = CodeWebhook(f"http://127.0.0.1:{unused_tcp_port}/", SECRET, 0.5)
    assert await _refused(webhook) < patient(2)
    await webhook.close()
    server.close()


async def test_nobody_there_is_said_so(unused_tcp_port: int) -> None:
    webhook = CodeWebhook(f"http://127.0.0.1:{unused_tcp_port}/", SECRET, 2)
    assert await _refused(webhook) < patient(2)
    await webhook.close()


async def test_deliveries_under_way_are_bounded_and_their_places_come_back(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MAX_SENDING", 3)
    webhook = CodeWebhook(receiver.url, SECRET, 0.5)
    receiver.answers = [None] * 20
    times = await asyncio.gather(*(_refused(webhook) for _ in range(10)))
    assert sum(seconds < 0.45 for seconds in times) == 7, "at once"
    receiver.answers = []
    await webhook.send(A, "042195", EXPIRES)
    await webhook.close()


async def test_the_log_names_neither_code_nor_number_nor_address(
    webhook: CodeWebhook, receiver: Receiver, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [_answer(500), b"", _answer(400)]
    await _refused(webhook)
    logged = "".join(capfd.readouterr()) + caplog.text  # whether logging is configured depends on earlier tests
    assert "the receiver of codes" in logged
    assert not any(secret in logged for secret in ("042195", A, "to=sms", SECRET))
