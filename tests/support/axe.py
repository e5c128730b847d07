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


COLOURS: tuple[dict[str, Any], ...] = (
    {"color_scheme": "dark", "forced_colors": "none"},
    {"color_scheme": "dark", "forced_colors": "active"},
    {"color_scheme": "light", "forced_colors": "active"},
    {"color_scheme": "light", "forced_colors": "none"},
)
"""Each as ``page.emulate_media`` takes it; the last is what a test begins with."""


async def found_in_any_colours(page: "Page") -> list[str]:
    """As ``found_by_axe``, in light and dark, and where the system has the colours.

    There axe sees the page's own ones, so that it cannot judge contrasts. What fades in has little contrast, so nothing
    does.
    """
    found = []
    for colours in COLOURS:
        await page.emulate_media(reduced_motion="reduce", **colours)
        without = ["color-contrast"] if colours["forced_colors"] == "active" else []
        found += [f"{colours}: {line}" for line in await found_by_axe(page, *without)]
    return found


async def found_by_axe(page: "Page", *without: str) -> list[str]:
    """One line for each rule and element; empty is good. ``without``: rules."""
    options = {"rules": {rule: {"enabled": False} for rule in without}}
    results = (await axe.Axe().run(page, options=options)).response
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in results["violations"]
        for node in rule["nodes"]
    ]
