"""The picture of the open loop: which rates are points of a line, and which were not held."""

from pathlib import Path
from typing import Any

import pytest

from tools.bench.drawing import draw_rates, points, rates
from tools.bench.report import document, summary


def run(rate: float, *, p50: float | None, void: bool = False) -> dict[str, Any]:
    names = ("received", "stored", "receipt")
    latencies = {} if p50 is None else {f"{name}_p{p}_ms": p50 * p / 50 for name in names for p in (50, 99)}
    return {
        "mode": "open",
        "contender": "mini",
        "void": void,
        "setting": {"rate": rate},
        "figures": {**latencies, "late_p99_ms": 1.0, "reached_per_second": rate / 2},
        "cpu_microseconds_each": {},
        "activity_each": {},
    }


def test_a_rate_is_a_point_when_it_was_held_in_every_round_and_not_void() -> None:
    held, half, never, void = summary(
        [
            run(100, p50=1.0),
            run(100, p50=3.0),
            run(100, p50=2.0),
            run(200, p50=2.0),
            run(200, p50=None),
            run(300, p50=None),
            run(400, p50=2.0, void=True),
        ]
    )
    assert points(held, "received") == (2.0, pytest.approx(3.96))
    assert (half["held"], half["rounds"]) == (1, 2)
    assert [points(row, "received") for row in (half, never, void)] == [None, None, None]
    assert rates([held, half, never, void]) == [100, 200, 300, 400]


def test_the_picture_has_the_rates_that_were_not_held(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="only `run.py bench` installs it")
    start = {"when": "", "commit": "c", "machine": {"cpu": "a", "cores": 2}, "load_average_before": 0.0}
    path = tmp_path / "x.png"
    draw_rates(path, document(start, [run(100, p50=1.0), run(200, p50=None)]))
    assert path.read_bytes().startswith(b"\x89PNG")
