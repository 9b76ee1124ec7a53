"""The files of a run: Locust's HTML report with our audit and chart in it, and its tables as CSV."""

import csv
import html
from collections.abc import Callable
from typing import Any

from locust.env import Environment
from locust.html import get_html_report
from locust.stats import PERCENTILES_TO_REPORT, StatsCSV

from loadtest.console import in_words
from loadtest.runs import Run
from loadtest.settings import shown


def write_report(environment: Environment, run: Run) -> None:
    """Write `report.html`, `requests.csv` and `failures.csv` into the run's folder."""
    assert run.result is not None
    make_report: Any = get_html_report
    page: str = make_report(environment, show_download_link=False)
    text = html.escape("\n".join(in_words(run.result, shown(run.folder))))
    ours = (
        '<section style="max-width:1200px;margin:2rem auto;padding:0 1rem;font-family:sans-serif">'
        f"{run.timeline.svg()}<h2>Audit and verdict</h2><pre style='white-space:pre-wrap'>{text}</pre></section>"
    )
    (run.folder / "report.html").write_text(page.replace("</body>", f"{ours}</body>"), encoding="utf-8")
    tables = StatsCSV(environment, PERCENTILES_TO_REPORT)
    _write_csv(run, "requests.csv", tables.requests_csv)
    _write_csv(run, "failures.csv", tables.failures_csv)


def _write_csv(run: Run, name: str, write: Callable[[Any], None]) -> None:
    with (run.folder / name).open("w", encoding="utf-8", newline="") as file:
        write(csv.writer(file))
