"""What axe finds on a page: where somebody with a disability could not use it (WCAG 2.2 A, AA; best practices)."""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import Page

axe: Any = (
    importlib.import_module("axe_playwright_python.async_playwright")
    if importlib.util.find_spec("axe_playwright_python")
    else None
)


async def found_by_axe(page: "Page") -> list[str]:
    """One line for each rule and element; empty is good."""
    results = (await axe.Axe().run(page)).response
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in results["violations"]
        for node in rule["nodes"]
    ]
