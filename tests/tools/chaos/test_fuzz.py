"""A short run of fuzzing, and that wrong answers are noticed."""

import json
import random
import sys
from pathlib import Path

import pytest

from tools.chaos.__main__ import parse
from tools.chaos.campaign import Campaign, Plan
from tools.chaos.fuzz import fuzzing
from tools.chaos.fuzz.fault import Worker
from tools.chaos.fuzz.mutations import CANARY, Mutator
from tools.chaos.fuzz.tally import Tally
from tools.chaos.scenario import Times


@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_wrong_input_is_refused_by_name_and_other_clients_do_not_notice(tmp_path: Path) -> None:
    lines: list[str] = []
    campaign = Campaign(tmp_path, lines.append, times=Times(before=0.5, after=0.5, people=8, rate=20))
    try:
        campaign.run([Plan((fuzzing(0.07, 5, lines.append),), 5)])
    finally:
        campaign.close()
    assert not campaign.failed, lines
    (outcome,) = campaign.outcomes
    assert not outcome.broken, lines
    found = json.loads(lines[0])
    assert found["fuzz"]["sent"]["messages"] > 50
    assert {"bad_json", "bad_frame"} <= found["fuzz"]["refused"].keys()
    assert found["seconds_of_people"]["during"]["count"] > 10
    assert len(found["after"]) == 3


def changed(seed: int) -> list[bytes]:
    mutator = Mutator(random.Random(seed), ["9100000001"])  # noqa: S311 - a seed that can be repeated
    mutator.foreign = [("9100000002", "5-0")]
    mutator.stream_id = lambda: "5-0"  # type: ignore[method-assign]  # the one thing that looks at the clock
    makers = (mutator.message, mutator.socket_bytes, lambda: mutator.head("t.o.k"), lambda: mutator.request("t.o.k"))
    return [make() for make in makers for _ in range(200)]


def test_a_seed_makes_the_same_changes_each_time() -> None:
    assert changed(1) == changed(1)
    assert changed(1) != changed(2)
    assert all(any(CANARY.encode() in each for each in changed(1)[n : n + 200]) for n in range(0, 800, 200))


def test_no_chat_goes_to_people_who_are_not_visitors() -> None:
    made = changed(1)[:200]
    assert any(b"9100000002" in each for each in made)
    assert not any(b"9100000002" in each and b"chat" in each for each in made)


def error(**fields: str) -> bytes:
    return json.dumps({"type": "error", "code": "bad_frame", "component": "chat", "message": "no"} | fields).encode()


@pytest.mark.parametrize(
    ("payload", "wrong"),
    [
        (error(message=f"not {CANARY}"), "the refusal bad_frame repeats what was sent"),
        (error(code="internal"), "refused with 'internal'"),
        (error(code="oops"), "refused with 'oops'"),
        (b"[" + error(code="internal") + b"]", "refused with 'internal'"),
        (error(messageId=CANARY), None),
        (json.dumps({"type": "chat", "message": CANARY}).encode(), None),
    ],
)
def test_a_wrong_answer_is_noticed(payload: bytes, wrong: str | None) -> None:
    tally = Tally()
    tally.message(payload)
    assert list(tally.wrong) == ([wrong] if wrong else [])


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (b'HTTP/1.1 500 No\r\n\r\n{"code":"internal"}', "HTTP 500 with the code 'internal'"),
        (b"HTTP/1.1 400 No\r\n\r\nno", "HTTP 400 with the code ''"),
        (b'HTTP/1.1 404 No\r\n\r\n{"code":"bad_request"}', "HTTP 404 with the code 'bad_request'"),
        (b"HTTP/1.1 200 OK\r\nX: zqcanaryqz\r\n\r\n", "an HTTP answer repeats what was sent"),
        (b'HTTP/1.1 200 OK\r\n\r\n{}HTTP/1.1 400 No\r\n\r\n{"code":"bad_request"}', None),
    ],
)
def test_a_wrong_http_answer_is_noticed(answer: bytes, wrong: str | None) -> None:
    tally = Tally()
    tally.http(answer)
    assert list(tally.wrong) == ([wrong] if wrong else [])


def test_a_wrong_close_code_and_an_echo_in_a_close_frame_are_noticed() -> None:
    tally = Tally()
    for payload in (b"\x03\xf3", b"\x03\xea" + CANARY.encode(), b"\x03\xe8", b""):
        tally.close(payload)
    assert dict(tally.wrong) == {"closed with 1011": 1, "a close reason repeats what was sent": 1}
    assert dict(tally.closed) == {1011: 1, 1002: 1, 1000: 1, 1005: 1}


def test_a_worker_above_base_is_a_complaint() -> None:
    base = Worker(70.0, 30, 8)
    assert Worker(79.0, 33, 10).complaints(base) == []
    assert Worker(81.0, 40, 20).complaints(base) == [
        "megabytes: 81, base 70",
        "descriptors: 40, base 30",
        "tasks: 20, base 8",
    ]


def test_the_command_line() -> None:
    assert parse(["--fuzz", "10"]).fuzz == 10.0
    assert parse([]).fuzz is None
