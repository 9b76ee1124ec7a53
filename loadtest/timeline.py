"""How long a vote took to a screen, over the time of a run; and the chart of it. Pure, and bounded in memory."""

from dataclasses import dataclass

from loadtest.figures import Histogram, percentile, since

MOST_POINTS = 240
WIDTH, HEIGHT = 1000, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 40
LINES = {"p50": "#2b9e6f", "p95": "#c98a00", "p99": "#c0392b"}


@dataclass(frozen=True)
class Point:
    """What was measured in an interval that ended at `second`; {"p50": milliseconds, ...}."""

    second: float
    values: dict[str, int]


class Timeline:
    """The points of one run; when there are too many, every second one goes."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._before: Histogram = {}
        self._every = 1
        self._looks = 0

    def look(self, second: float, times: Histogram) -> None:
        """Take in what Locust has until now; called at even intervals."""
        self._looks += 1
        if self._looks % self._every:
            return
        new = since(times, self._before)
        self._before = dict(times)
        if new:
            values = {name: percentile(new, int(name[1:]) / 100) or 0 for name in LINES}
            self.points.append(Point(second, values))
        if len(self.points) > MOST_POINTS:
            self.points = self.points[1::2]
            self._every *= 2

    def svg(self) -> str:
        """The chart."""
        top = _round_up(max((value for point in self.points for value in point.values.values()), default=100))
        end = max((point.second for point in self.points), default=60.0) or 1.0
        parts = [*_grid(top, end)]
        for number, (name, colour) in enumerate(LINES.items()):
            path = " ".join(f"{_x(point.second, end):.1f},{_y(point.values[name], top):.1f}" for point in self.points)
            x = LEFT + 250 + 90 * number
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            parts.append(f'<rect x="{x}" y="16" width="14" height="4" fill="{colour}"/>')
            parts.append(f'<text x="{x + 20}" y="23">{name}</text>')
        if not self.points:
            parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">no news on a screen yet</text>')
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="vote to screen in milliseconds" font-family="sans-serif" font-size="13" fill="#888">'
            f'<text x="{LEFT}" y="24" font-size="16">Vote to screen (ms)</text>{"".join(parts)}</svg>'
        )


def _grid(top: int, end: float) -> list[str]:
    lines = []
    for part in range(5):
        value = top * part / 4
        y = _y(value, top)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8885"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
        second = end * part / 4
        anchor = "end" if part == 4 else "middle"
        lines.append(f'<text x="{_x(second, end):.1f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{second:.0f} s</text>')
    return lines


def _x(second: float, end: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * second / end


def _y(value: float, top: int) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _round_up(value: int) -> int:
    for step in (100, 200, 400, 800, 1000, 2000, 4000, 10_000, 20_000, 40_000, 100_000):
        if value <= step:
            return step
    return value
