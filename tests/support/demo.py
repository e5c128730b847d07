"""The demo as ``run.py demo`` starts it, on a data directory of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.launched import Launched
from tools.devstack.probe import free_port


@contextmanager
def running_demo(directory: Path, *arguments: str) -> Iterator[Launched]:
    """Ready to use; it is stopped in the end."""
    data = directory / "data"
    place = ["--data", str(data), "--port", str(free_port()), *arguments]
    # RATE_LIMITS: the demo's own people must do with those of the product.
    launched = Launched(
        directory / "demo.log", *place, run_file=data / "run.json", module="tools.demo", RATE_LIMITS="on"
    )
    try:
        launched.wait_ready()
        yield launched
    finally:
        launched.child.stop(20)


def people_of(demo: Launched) -> list[dict[str, Any]]:
    """Asha and Ravi, as the demo keeps them."""
    text = (demo.run_file.parent / "demo.json").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(text)["people"]
    return found
