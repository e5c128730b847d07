"""These tests run on the loop that the product runs on."""

from collections.abc import Callable, Mapping
from typing import Any

from server.loop import ServerLoop


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Mapping[str, Callable[[], ServerLoop]]:
    return {"uvloop": ServerLoop}
