"""The cases of the Autobahn test suite, as `kosoku` runs them, against our protocol class and an echoing listener.

Left out: 9.* (speed, with messages above our 64 KiB), 12.* and 13.* (compression, which is not offered).
"""

from collections import Counter

import pytest
from kosoku import FailureError, run_fuzzingclient
from kosoku._kosoku import CaseResult

from protocol.websocket import writer
from server.websocket import accepted_socket
from server.websocket.accepted_socket import AcceptedSocket
from tests.server.support import Echo, serving

EXCLUDED = ["9.*", "12.*", "13.*"]
CASES = 247


class Mirror(Echo):
    """Sends back the same kind of message. The product itself never sends a binary one."""

    def handle_message(self, data: str | bytes) -> float:
        if isinstance(data, str):
            self.socket.send(data.encode())
        else:
            self.socket._queue(b"\x82" + writer.text(data)[1:])
        return 0.0


def attach(socket: AcceptedSocket) -> None:
    socket.attach(Mirror(socket))


QUIET = {"ping_seconds": 3600, "lease_seconds": 7200}
"""A ping of our own in the middle of a case is none of the answers it expects."""


async def test_the_autobahn_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepted_socket, "GRACE_SECONDS", 60.0)  # a busy machine must not make an end unclean
    async with serving(attach, data_frames_burst=100_000, **QUIET) as local:
        try:
            results: list[CaseResult] = list(
                await run_fuzzingclient(f"127.0.0.1:{local.port}", None, EXCLUDED, concurrency=8)
            )
        except FailureError as failure:
            results = list(failure.results)
    failed = {each.case_id: (each.result, each.result_close) for each in results if not each.passed}
    print(Counter(each.behavior.value for each in results))
    assert len(results) == CASES
    assert failed == {}
