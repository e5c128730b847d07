"""What the floods did, as a table: a line each, calm and flooded side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

TITLES: Final = (
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
    lines = [list(TITLES), ["---"] * len(TITLES), *map(_cells, rows)]
    return "### floods\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    figures: dict[str, float] = {name: spread["median"] for name, spread in row["figures"].items()}

    def ways(name: str) -> str:
        calm, flooded = (_both(figures, f"{prefix}{name}") for prefix in ("calm_", ""))
        return f"{calm} → {flooded}"

    calm, flooded = (figures.get(f"{prefix}received_p99_ms") for prefix in ("calm_", ""))
    still = " → ".join(_text(figures.get(f"{prefix}stood_still_ms")) for prefix in ("calm_", ""))
    return [
        row["contender"],
        *map(ways, ("stored", "received", "receipt")),
        f"{flooded / calm:.1f}" if calm and flooded else "",
        still,
        "; ".join(dict.fromkeys(each for each in row["hostile"] if each)),
        _text(figures.get("flood_frames_per_second")),
        _text(figures.get("flood_connections")),
        _text(figures.get("server_mb_more")),
        _text(figures.get("descriptors_left")),
        f"{row['void']} of {row['rounds']}",
    ]


def _both(figures: Mapping[str, float], name: str) -> str:
    return f"{_text(figures.get(f'{name}_p50_ms'))} / {_text(figures.get(f'{name}_p99_ms'))}"


def _text(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
