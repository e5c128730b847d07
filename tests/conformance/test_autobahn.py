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
TIMES = 3
"""How often a case that failed is tried again."""


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


async def run(address: str, cases: list[str] | None) -> dict[str, CaseResult]:
    """Results by case; None: of all but those left out."""
    try:
        results = await run_fuzzingclient(address, cases, EXCLUDED, concurrency=8 if cases is None else 1)
    except FailureError as failure:
        results = failure.results
    return {each.case_id: each for each in results}


async def test_the_autobahn_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case ends a connection that does not answer within a second, which a busy machine may need: what failed runs
    again by itself. A protocol that is broken fails each time."""
    monkeypatch.setattr(accepted_socket, "GRACE_SECONDS", 60.0)  # a busy machine must not make an end unclean
    async with serving(attach, data_frames_burst=100_000, **QUIET) as local:
        address = f"127.0.0.1:{local.port}"
        results = await run(address, None)
        for _ in range(TIMES):
            failed = [case for case, result in results.items() if not result.passed]
            results |= await run(address, failed) if failed else {}
    wrong = {case: (each.result, each.result_close) for case, each in results.items() if not each.passed}
    print(Counter(each.behavior.value for each in results.values()))
    assert len(results) == CASES
    assert wrong == {}
