"""From results to what people read: a table, and a file others can compute with.

What the floods did, as a table: a line each, calm and flooded side by side.
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tools.bench.activity import roles_text
from tools.bench.result import median
from tools.devstack.options import ROOT

Record = Mapping[str, Any]
HEADLINE = {
    "ceiling": "messages_per_second",
    "closed": "messages_per_second",
    "growth": "messages_per_second",
    "open": "received_p99_ms",
    "offline": "connect_to_last_ms",
    "idle": "server_kb_each",
    "storm": "reconnects_per_second",
}
"""The figure of each mode that is drawn, and set in relation to the reference's."""
HELD: Final = "received_p50_ms"
"""A run of the open loop has this figure when its rate was held."""
REFERENCE = "ejabberd"
_SEED, _BEFORE = "-seed", "mini-before"


def _same_in_wm_v1(row: Mapping[str, Any]) -> str:
    """The contender with the same servers whose people speak ``wm.v1``; "" for one that does so itself."""
    name: str = row["contender"]
    return name.removesuffix(_SEED) if name.endswith(_SEED) else ""


def _the_same_before(row: Mapping[str, Any]) -> str:
    """The contender with the code of before; "" where that is no comparison."""
    name: str = row["contender"]
    if name.removesuffix(_SEED) not in ("mini-everysec", "mini"):
        return ""
    return _BEFORE + (_SEED if name.endswith(_SEED) else "")


RELATIONS = {"× wm.v1": _same_in_wm_v1, "× before": _the_same_before}
"""Further columns, for those runs in which somebody has something to be set in relation to."""


def machine() -> dict[str, Any]:
    """What it was measured on."""
    names = [line.partition(":")[2].strip() for line in _read("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((line.split()[1] for line in _read("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _read(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def commit() -> str:
    """Which state of the code was measured; with a ``+`` when there were changes on top."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip()


def about() -> dict[str, Any]:
    """Time, commit and machine; call it before anything is measured."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return {"when": when, "commit": commit(), "machine": machine(), "load_average_before": os.getloadavg()[0]}


def document(start: Mapping[str, Any], records: Sequence[Record]) -> dict[str, Any]:
    """The whole file. ``start`` is the result of :func:`about`."""
    return {**start, "summary": summary(records), "runs": list(records)}


def write(path: Path, contents: Mapping[str, Any]) -> None:
    """As JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")


def summary(records: Sequence[Record]) -> list[dict[str, Any]]:
    """For each mode, rate of the open loop, and contender: median, lowest and highest of each figure over the rounds.

    Void rounds are counted, and their figures left out, unless there are no others: then all of it is void.
    """
    rows = []
    for key in dict.fromkeys(map(_row_of, records)):
        (mode, rate, contender), of_it = key, [each for each in records if _row_of(each) == key]
        good = [each for each in of_it if not each["void"]]
        rows.append(
            {
                "mode": mode,
                "contender": contender,
                **({"rate": rate, "held": sum(HELD in each["figures"] for each in of_it)} if mode == "open" else {}),
                "rounds": len(of_it),
                "void": len(of_it) - len(good),
                **({"hostile": [each["facts"].get("hostile", "") for each in of_it]} if mode == "floods" else {}),
                "figures": _spread(each["figures"] for each in good or of_it),
                "cpu_microseconds_each": _spread(each["cpu_microseconds_each"] for each in good or of_it),
                "activity_each": _activity([each["activity_each"] for each in good or of_it]),
            }
        )
    return rows


def _row_of(record: Record) -> tuple[str, float, str]:
    return record["mode"], record["setting"]["rate"] if record["mode"] == "open" else 0.0, record["contender"]


def _activity(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds: of each role, of Redis' commands and scripts, and of the chats that go together."""
    measured = [each for each in rounds if each]
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for each in measured for name in each):
        values = [each[name] for each in measured if each.get(name) is not None]
        if name == "roles":
            roles = dict.fromkeys(role for each in values for role in each)
            found[name] = {role: _medians([each[role] for each in values if role in each]) for role in roles}
        elif name in ("redis_commands", "script_calls"):
            found[name] = _medians(values)
        elif name == "chats_together" and values:
            found[name] = median(values)
    return found


def _medians(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: spread["median"] for name, spread in _spread(figures).items()}


def _spread(figures: Iterable[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    gathered: dict[str, list[float]] = {}
    for each in figures:
        for name, value in each.items():
            gathered.setdefault(name, []).append(value)
    return {
        name: {"median": median(values), "lowest": min(values), "highest": max(values)}
        for name, values in gathered.items()
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a table for each mode; each figure as median (lowest–highest)."""
    parts = []
    for heading in dict.fromkeys(map(_heading, rows)):
        of_mode = [row for row in rows if _heading(row) == heading]
        if heading == "floods":
            parts.append(flood_table(of_mode))
            continue
        names = _figure_names(of_mode)
        others = [title for title, of in RELATIONS.items() if any(_other(of(row), of_mode) for row in of_mode)]
        titles = [f"× {REFERENCE}", *others]
        lines = [["contender", *names, *titles, "CPU µs each", "void"], ["---"] * (len(names) + len(titles) + 3)]
        for row in of_mode:
            relations = [
                _relation(row, of_mode, REFERENCE),
                *(_relation(row, of_mode, RELATIONS[t](row)) for t in others),
            ]
            lines.append(_cells(row, names, relations))
        parts.append(f"### {heading}\n\n" + _lines(lines))
        if active := [row for row in of_mode if row["activity_each"]]:
            parts.append(_activity_table(active))
    return "\n\n".join(parts)


def _figure_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns. For the open loop they stand as well when a rate was not held."""
    wanted = OPEN_FIGURES if rows[0]["mode"] == "open" else ()
    return list(dict.fromkeys([*wanted, *(name for row in rows for name in row["figures"] if "_p95_" not in name)]))


def _heading(row: Mapping[str, Any]) -> str:
    return f"open, {row['rate']:g}/s" if row["mode"] == "open" else row["mode"]


def _lines(cells: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


OPEN_FIGURES: Final = tuple(
    f"{what}_p{percent}_ms" for what in ("stored", "received", "receipt") for percent in (50, 99)
)
NOT_HELD: Final = "not held"
ACTIVITY_TITLES: Final = {
    "switches": ("switches",),
    "µs running": ("ran_us",),
    "µs waiting for a processor": ("waited_us",),
    "reads/writes": ("reads", "writes"),
}
"""Columns, and what they show of each role."""
LEAST_CALLS: Final = 0.01
"""Scripts that are called less often for a message are not listed."""


def _activity_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What each role did for one message, and what Redis was asked."""
    titles = ["contender, a message", *ACTIVITY_TITLES, "scripts of commands", "which scripts", "chats together"]
    lines = [titles, ["---"] * len(titles)]
    for row in rows:
        each = row["activity_each"]
        roles = [roles_text(each, names) for names in ACTIVITY_TITLES.values()]
        commands, calls = each.get("redis_commands", {}), each.get("script_calls", {})
        scripts = commands.get("evalsha", 0)
        shares = ", ".join(f"{name} {count:.3g}" for name, count in calls.items() if count >= LEAST_CALLS)
        together = each.get("chats_together")
        counts = [f"{scripts:.3g} of {sum(commands.values()):.3g}" if commands else "", shares]
        lines.append([row["contender"], *roles, *counts, f"{together:g}" if together else ""])
    return _lines(lines)


def _relation(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], contender: str) -> str:
    """The headline figure's median over that of another contender; blank where there is none."""
    name = HEADLINE.get(row["mode"], "")
    other = _other(contender, rows)
    if other is None or other is row or name not in row["figures"] or not other["figures"].get(name, {}).get("median"):
        return ""
    return f"{row['figures'][name]['median'] / other['figures'][name]['median']:.2f}"


def _other(contender: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((row for row in rows if row["contender"] == contender), None)


def _cells(row: Mapping[str, Any], names: Sequence[str], relations: Sequence[str]) -> list[str]:
    figures = [_cell(row["figures"].get(name)) or (NOT_HELD if name in OPEN_FIGURES else "") for name in names]
    each = ", ".join(f"{role} {spread['median']:g}" for role, spread in row["cpu_microseconds_each"].items())
    return [row["contender"], *figures, *relations, each, f"{row['void']} of {row['rounds']}"]


def _cell(spread: Mapping[str, float] | None) -> str:
    if spread is None:
        return ""
    middle, low, high = spread["median"], spread["lowest"], spread["highest"]
    return f"{middle:g}" if low == high else f"{middle:g} ({low:g}–{high:g})"


FLOOD_TITLES: Final = (
    "flood",
    "stored p50 / p99 ms",
    "received p50 / p99 ms",
    "receipt p50 / p99 ms",
    "received p99 over calm",
    "stood still, calm → flooded ms",
    "hostile client",
    "its frames/s",
    "its connections",
    "MB more",
    "descriptors left",
    "void",
)


def flood_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown. ``rows`` are of the summary; figures are medians over the rounds."""
    lines = [list(FLOOD_TITLES), ["---"] * len(FLOOD_TITLES), *map(_flood_cells, rows)]
    return "### floods\n\n" + _lines(lines)


def _flood_cells(row: Mapping[str, Any]) -> list[str]:
    figures: dict[str, float] = {name: spread["median"] for name, spread in row["figures"].items()}

    def ways(name: str) -> str:
        calm, flooded = (_both(figures, f"{prefix}{name}") for prefix in ("calm_", ""))
        return f"{calm} → {flooded}"

    calm, flooded = (figures.get(f"{prefix}received_p99_ms") for prefix in ("calm_", ""))
    still = " → ".join(_number(figures.get(f"{prefix}stood_still_ms")) for prefix in ("calm_", ""))
    return [
        row["contender"],
        *map(ways, ("stored", "received", "receipt")),
        f"{flooded / calm:.1f}" if calm and flooded else "",
        still,
        "; ".join(dict.fromkeys(each for each in row["hostile"] if each)),
        _number(figures.get("flood_frames_per_second")),
        _number(figures.get("flood_connections")),
        _number(figures.get("server_mb_more")),
        _number(figures.get("descriptors_left")),
        f"{row['void']} of {row['rounds']}",
    ]


def _both(figures: Mapping[str, float], name: str) -> str:
    return f"{_number(figures.get(f'{name}_p50_ms'))} / {_number(figures.get(f'{name}_p99_ms'))}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
