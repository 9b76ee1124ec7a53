"""A curve of costs: its picture and its verdict. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.speed.figures import bend

TOLERANCE = 1.5  # below that, a rise is what a busy machine does
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 320, 70, 50, 40
INK, LINE = "#333333", "#1b6ca8"


@dataclass(frozen=True)
class Curve:
    """What one thing costs by the size of another."""

    name: str
    title: str
    x: str
    unit: str
    points: Sequence[tuple[float, float]]


def verdict(curve: Curve) -> str:
    """Whether and from where on it bends upward."""
    if not curve.points:
        return f"{curve.title}: not measured, MAX is below the smallest size"
    first, last = curve.points[0], curve.points[-1]
    span = f"{first[1]:.1f} {curve.unit} with {first[0]:,.0f} {curve.x}, {last[1]:.1f} with {last[0]:,.0f}"
    at = bend(curve.points, TOLERANCE)
    return f"{curve.title}: {span}; " + ("does not bend upward" if at is None else f"bends upward from {at:,.0f} on")


def plot(curve: Curve) -> str:
    """An SVG: sizes by their logarithm, costs from zero."""
    top = 1.25 * max(cost for _, cost in curve.points)
    low, high = (math.log10(curve.points[at][0]) for at in (0, -1))

    def place(size: float, cost: float) -> tuple[float, float]:
        share = (math.log10(size) - low) / ((high - low) or 1)
        return LEFT + share * (WIDTH - LEFT - 40), HEIGHT - BOTTOM - cost / top * (HEIGHT - BOTTOM - TOP)

    spots = [place(*point) for point in curve.points]
    parts = [_text(LEFT, 22, curve.title, "start"), _text(WIDTH / 2, HEIGHT - 10, curve.x, "middle")]
    for step in range(5):
        x, y = place(curve.points[0][0], top * step / 4)
        parts.append(f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{WIDTH - 40}" y2="{y:.0f}" stroke="#dddddd"/>')
        parts.append(_text(x - 8, y + 4, f"{top * step / 4:.3g}", "end"))
    parts.append(_text(LEFT - 8, TOP - 4, curve.unit, "end"))
    parts.append(f'<polyline points="{_joined(spots)}" fill="none" stroke="{LINE}" stroke-width="2"/>')
    for (size, _), (x, y) in zip(curve.points, spots, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{LINE}"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 18, f"{size:,.0f}", "middle"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *parts, "</svg>\n"])


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="12" fill="{INK}" text-anchor="{anchor}">{escape(text)}</text>'


def _joined(spots: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
