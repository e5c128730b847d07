"""The same as a picture: bars are medians, whiskers the range over the rounds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.bench.report import HEADLINE

COLUMNS = 2
WIDE = 30
"""So many times the smallest bar, and a linear scale would hide it."""
_OURS, _THEIRS, _VOID = "#128c7e", "#8a97a0", "#d9534f"


def draw(path: Path, contents: Mapping[str, Any]) -> None:
    """A PNG with one field for each mode's headline figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only `run.py bench` installs it
    from matplotlib.figure import Figure  # noqa: PLC0415

    modes = [mode for mode in HEADLINE if _rows(contents["summary"], mode)]
    lines = -(-len(modes) // COLUMNS)
    figure = Figure(figsize=(6.4 * min(COLUMNS, len(modes)), 3.2 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for place, mode in enumerate(modes, start=1):
        _field(figure.add_subplot(lines, min(COLUMNS, len(modes)), place), mode, _rows(contents["summary"], mode))
    machine = contents["machine"]
    figure.suptitle(
        f"{contents['commit']} · {machine['cpu']}, {machine['cores']} cores · medians and ranges", fontsize=9
    )
    figure.savefig(path, dpi=110)


def _rows(summary: Sequence[Mapping[str, Any]], mode: str) -> list[Mapping[str, Any]]:
    return [row for row in summary if row["mode"] == mode and HEADLINE[mode] in row["figures"]]


def _field(axes: Any, mode: str, rows: Sequence[Mapping[str, Any]]) -> None:
    spreads = [row["figures"][HEADLINE[mode]] for row in rows]
    middles = [spread["median"] for spread in spreads]
    below = [spread["median"] - spread["lowest"] for spread in spreads]
    above = [spread["highest"] - spread["median"] for spread in spreads]
    names = [row["contender"] + (" (void)" if row["void"] == row["rounds"] else "") for row in rows]
    colours = [_colour(row) for row in rows]
    bars = axes.barh(names, middles, xerr=[below, above], color=colours, error_kw={"ecolor": "#333", "capsize": 3})
    axes.bar_label(bars, labels=[f"{middle:,.5g}" for middle in middles], padding=4, fontsize=8)
    if min(middles) > 0 and max(middles) / min(middles) > WIDE:
        axes.set_xscale("log")
    axes.set_title(f"{mode}: {HEADLINE[mode].replace('_', ' ')}", fontsize=10, loc="left")
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(row: Mapping[str, Any]) -> str:
    if row["void"] == row["rounds"]:
        return _VOID
    return _OURS if row["contender"].startswith("mini") else _THEIRS
