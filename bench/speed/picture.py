"""The outcomes as a picture: a bar for each stage, and a mark where its goal is. Pure."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.speed.outcome import Outcome, number

WIDTH, ROW, TOP = 980, 34, 46
LEFT, FULL = 330, 360  # where bars begin, and how long one at the scale's end is
STYLE = (
    "text{font:13px sans-serif;fill:#223}.small{font-size:11px;fill:#556}"
    ".track{fill:#e8ece8}.good{fill:#2f8f5b}.bad{fill:#c2542d}.goal{stroke:#223;stroke-width:2}"
)


def picture(outcomes: Sequence[Outcome]) -> str:
    """An SVG. A track ends at the limit, or, where there is none or the goal is beyond it, at the goal."""
    height = TOP + ROW * len(outcomes) + 12
    head = "Each bar: ours. The grey track ends at what it is measured against; the mark is the goal."
    rows = [_row(outcome, TOP + ROW * index) for index, outcome in enumerate(outcomes)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img">',
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            f'<text class="small" x="12" y="24">{head}</text>',
            *rows,
            "</svg>\n",
        ]
    )


def _row(outcome: Outcome, top: int) -> str:
    stage = outcome.stage
    score = outcome.score
    end = max(stage.goal, 1.0) if stage.is_ratio else stage.goal
    length = 0.0 if math.isnan(score) else min(score / end, 1.25) * FULL
    goal = LEFT + stage.goal / end * FULL
    unit = "" if stage.is_ratio else f" {stage.unit}"
    said = "skipped" if outcome.skipped else "failed" if outcome.failed else f"{number(score)}{unit}"
    words = f"{said}, {stage.sense} {number(stage.goal)}"
    kind = "bad" if outcome.missed() else "good"
    return (
        f'<text x="12" y="{top + 16}">{escape(_short(stage.what))}</text>'
        f'<rect class="track" x="{LEFT}" y="{top + 2}" width="{FULL}" height="20"/>'
        f'<rect class="{kind}" x="{LEFT}" y="{top + 6}" width="{length:.0f}" height="12"/>'
        f'<line class="goal" x1="{goal:.0f}" x2="{goal:.0f}" y1="{top}" y2="{top + 24}"/>'
        f'<text class="small" x="{LEFT + FULL * 1.25 + 8:.0f}" y="{top + 16}">{escape(words)}</text>'
    )


def _short(text: str) -> str:
    return text if len(text) <= 48 else f"{text[:47]}…"
