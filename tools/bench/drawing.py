"""Pictures of the results: bars are medians, whiskers the range over the rounds; and latencies over the rate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tools.bench.report import HEADLINE

PLOT_COLUMNS = 2
LOG_SCALE_FROM = 30
"""So many times the smallest bar, and a linear scale would hide it."""
_OURS, _THEIRS, _VOID = "#128c7e", "#8a97a0", "#d9534f"


def draw(path: Path, contents: Mapping[str, Any]) -> None:
    """A PNG with one field for each mode's headline figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only `run.py bench` installs it
    from matplotlib.figure import Figure  # noqa: PLC0415

    several = len(rates(contents["summary"])) > 1  # they have a picture of their own
    modes = [mode for mode in HEADLINE if _rows(contents["summary"], mode) and not (mode == "open" and several)]
    lines = -(-len(modes) // PLOT_COLUMNS)
    figure = Figure(figsize=(6.4 * min(PLOT_COLUMNS, len(modes)), 3.2 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for locate, mode in enumerate(modes, start=1):
        _panel(figure.add_subplot(lines, min(PLOT_COLUMNS, len(modes)), locate), mode, _rows(contents["summary"], mode))
    machine = contents["machine"]
    figure.suptitle(
        f"{contents['commit']} · {machine['cpu']}, {machine['cores']} cores · medians and ranges", fontsize=9
    )
    figure.savefig(path, dpi=110)


def _rows(summary: Sequence[Mapping[str, Any]], mode: str) -> list[Mapping[str, Any]]:
    return [row for row in summary if row["mode"] == mode and HEADLINE[mode] in row["figures"]]


def _panel(axes: Any, mode: str, rows: Sequence[Mapping[str, Any]]) -> None:
    spreads = [row["figures"][HEADLINE[mode]] for row in rows]
    middles = [spread["median"] for spread in spreads]
    below = [spread["median"] - spread["lowest"] for spread in spreads]
    above = [spread["highest"] - spread["median"] for spread in spreads]
    names = [row["contender"] + (" (void)" if row["void"] == row["rounds"] else "") for row in rows]
    colours = [_colour(row) for row in rows]
    bars = axes.barh(names, middles, xerr=[below, above], color=colours, error_kw={"ecolor": "#333", "capsize": 3})
    axes.bar_label(bars, labels=[f"{middle:,.5g}" for middle in middles], padding=4, fontsize=8)
    if min(middles) > 0 and max(middles) / min(middles) > LOG_SCALE_FROM:
        axes.set_xscale("log")
    axes.set_title(f"{mode}: {HEADLINE[mode].replace('_', ' ')}", fontsize=10, loc="left")
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(row: Mapping[str, Any]) -> str:
    if row["void"] == row["rounds"]:
        return _VOID
    return _OURS if row["contender"].startswith("mini") else _THEIRS


LATENCIES: Final = ("received", "stored", "receipt")
_NOT_HELD: Final = 1.6
"""A rate that was not held stands so many times above the longest latency."""
_NEXT_HEIGHT: Final = 1.4
"""… and that of the next contender so many times above."""


def rates(summary: Sequence[Mapping[str, Any]]) -> list[float]:
    """Those of the open loop."""
    return sorted({row["rate"] for row in summary if row["mode"] == "open"})


def draw_rates(path: Path, contents: Mapping[str, Any]) -> None:
    """A PNG with the latencies of the open loop over the rate, both logarithmic: a line is p50, a dashed one p99, and a
    cross a rate that was not held, with the rate that was reached."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only `run.py bench` installs it
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows = [row for row in contents["summary"] if row["mode"] == "open"]
    figure = Figure(figsize=(6.4 * len(LATENCIES), 5), layout="constrained")
    FigureCanvasAgg(figure)
    for locate, what in enumerate(LATENCIES, start=1):
        axes = figure.add_subplot(1, len(LATENCIES), locate)
        _lines(axes, what, rows)
        if locate == 1:
            axes.legend(fontsize=8)
    machine = contents["machine"]
    figure.suptitle(f"{contents['commit']} · {machine['cpu']}, {machine['cores']} cores · p50 ─, p99 ┄", fontsize=9)
    figure.savefig(path, dpi=110)


def points(row: Mapping[str, Any], what: str) -> tuple[float, float] | None:
    """p50 and p99 in ms; None for a rate that was not held in one of the rounds, or of which all rounds were void."""
    figures = row["figures"]
    held = figures.get(f"{what}_p50_ms")
    if held is None or row["void"] == row["rounds"] or row["held"] < row["rounds"]:
        return None
    return held["median"], figures[f"{what}_p99_ms"]["median"]


def _lines(axes: Any, what: str, rows: Sequence[Mapping[str, Any]]) -> None:
    every = [point for row in rows if (point := points(row, what)) is not None]
    top = _NOT_HELD * max((p99 for _, p99 in every), default=1.0)
    for number, contender in enumerate(dict.fromkeys(row["contender"] for row in rows)):
        height = top * _NEXT_HEIGHT**number
        theirs = sorted((row for row in rows if row["contender"] == contender), key=lambda row: row["rate"])
        held = [(row["rate"], *point) for row in theirs if (point := points(row, what)) is not None]
        line = axes.plot([x for x, *_ in held], [p50 for _, p50, _ in held], marker="o", ms=3, label=contender)[0]
        axes.plot([x for x, *_ in held], [p99 for *_, p99 in held], "--", color=line.get_color(), lw=1)
        for row in theirs:
            if points(row, what) is None:
                axes.plot([row["rate"]], [height], "x", color=line.get_color())
                reached = row["figures"].get("reached_per_second", {}).get("median", 0)
                place = {"ha": "right", "va": "center", "color": line.get_color(), "fontsize": 7}
                axes.annotate(f"{reached:,.0f}/s  ", (row["rate"], height), **place)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(rates(rows), [f"{rate:g}" for rate in rates(rows)], fontsize=8)
    axes.minorticks_off()
    axes.set_title(f"{what}, ms, at so many chats a second", fontsize=10, loc="left")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
