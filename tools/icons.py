"""``python -m tools.icons``: draw the page's icon, as SVG and as the PNGs that phones want, into ``web/icons/``.

One description of the shapes makes both, so that they cannot differ. Standard library only.
"""

import math
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent.parent / "web" / "icons"
Colour = tuple[int, int, int]
Point = tuple[float, float]

SIDE: Final = 96.0
"""The icon is described on a square of this side."""
_PLUM: Final[Colour] = (0x86, 0x30, 0x5C)
_PAPER: Final[Colour] = (0xFF, 0xFD, 0xFB)
_TEAL: Final[Colour] = (0x0B, 0x61, 0x70)
_ROUND: Final = 22.0
"""Radius of the corners, where nobody else cuts them."""


@dataclass(frozen=True)
class Box:
    """A rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    radius: float
    colour: Colour

    def distance(self, x: float, y: float) -> float:
        """To its edge; below 0 inside it."""
        across = abs(x - self.x - self.width / 2) - self.width / 2 + self.radius
        down = abs(y - self.y - self.height / 2) - self.height / 2 + self.radius
        return math.hypot(max(across, 0), max(down, 0)) + min(max(across, down), 0) - self.radius

    def svg(self) -> str:
        place = f'x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" height="{self.height:g}"'
        return f'<rect {place} rx="{self.radius:g}" fill="{_hex(self.colour)}"/>'


@dataclass(frozen=True)
class Stroke:
    """A line through several points, with round ends."""

    points: tuple[Point, ...]
    width: float
    colour: Colour

    def distance(self, x: float, y: float) -> float:
        """To its edge; below 0 inside it."""
        pairs = zip(self.points, self.points[1:], strict=False)
        return min(_to_segment(x, y, one, other) for one, other in pairs) - self.width / 2

    def svg(self) -> str:
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in self.points)
        line = f'stroke="{_hex(self.colour)}" stroke-width="{self.width:g}"'
        return f'<path d="{path}" fill="none" {line} stroke-linecap="round" stroke-linejoin="round"/>'


Shape = Box | Stroke
_BUBBLE: Final[tuple[Shape, ...]] = (
    Box(16, 22, 64, 44, 15, _PAPER),
    Stroke(((29, 60), (26, 74), (40, 64)), 7, _PAPER),
    Stroke(((28, 45), (36, 54), (52, 34)), 6, _TEAL),
    Stroke(((49, 54), (65, 34)), 6, _TEAL),
)


def icon(radius: float = _ROUND) -> tuple[Shape, ...]:
    """The shapes, from the lowest to the uppermost.

    :param radius: of the corners; 0 where the system cuts them itself
    """
    return (Box(0, 0, SIDE, SIDE, radius, _PLUM), *_BUBBLE)


def svg(shapes: tuple[Shape, ...]) -> str:
    drawn = "".join(shape.svg() for shape in shapes)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE:g} {SIDE:g}">{drawn}</svg>\n'


def png(shapes: tuple[Shape, ...], pixels: int, scale: float = 1.0) -> bytes:
    """A picture of this many pixels a side.

    :param scale: how large everything above the lowest shape is: systems that cut icons to a circle show only the
        inner 80 %
    """
    rows = (_row(shapes, row, pixels, scale) for row in range(pixels))
    packed = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    head = struct.pack(">IIBBBBB", pixels, pixels, 8, 6, 0, 0, 0)  # 8 bits of red, green, blue and alpha
    return b"\x89PNG\r\n\x1a\n" + b"".join((_chunk(b"IHDR", head), _chunk(b"IDAT", packed), _chunk(b"IEND", b"")))


def _row(shapes: tuple[Shape, ...], row: int, pixels: int, scale: float) -> bytes:
    unit, middle = SIDE / pixels, SIDE / 2
    made = bytearray()
    for column in range(pixels):
        x, y = (column + 0.5) * unit, (row + 0.5) * unit
        inner = (x - middle) / scale + middle, (y - middle) / scale + middle
        colour, alpha = (0.0, 0.0, 0.0), 0.0
        for number, shape in enumerate(shapes):
            # An edge fades over one pixel: that is the whole of the smoothing.
            away = shape.distance(*inner) * scale if number else shape.distance(x, y)
            cover = min(max(0.5 - away / unit, 0.0), 1.0)
            if cover:
                left = alpha * (1 - cover)
                alpha_now = cover + left
                colour = _mixed(colour, left / alpha_now, shape.colour, cover / alpha_now)
                alpha = alpha_now
        made += bytes(round(part) for part in (*colour, alpha * 255))
    return bytes(made)


def _mixed(one: tuple[float, ...], much: float, other: Colour, more: float) -> tuple[float, float, float]:
    red, green, blue = (below * much + above * more for below, above in zip(one, other, strict=True))
    return red, green, blue


def _to_segment(x: float, y: float, one: Point, other: Point) -> float:
    along, up = other[0] - one[0], other[1] - one[1]
    part = ((x - one[0]) * along + (y - one[1]) * up) / (along * along + up * up)
    part = min(max(part, 0.0), 1.0)
    return math.hypot(x - one[0] - part * along, y - one[1] - part * up)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


FILES: Final[dict[str, Callable[[], bytes]]] = {
    "icon.svg": lambda: svg(icon()).encode(),
    "icon-192.png": lambda: png(icon(), 192),
    "icon-512.png": lambda: png(icon(), 512),
    "icon-maskable.png": lambda: png(icon(0), 512, 0.8),
    "icon-apple.png": lambda: png(icon(0), 180, 0.9),
}
"""Each file, and how it is made."""


def write(folder: Path) -> Iterator[str]:
    """Draw them all; the names of the files."""
    folder.mkdir(exist_ok=True)
    for name, make in FILES.items():
        (folder / name).write_bytes(make())
        yield name


if __name__ == "__main__":
    sys.stdout.writelines(f"web/icons/{name}\n" for name in write(FOLDER))
