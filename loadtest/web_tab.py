"""Our part of Locust's web UI: a tab with the audit, and the chart "vote to screen" below Locust's own charts.

The tab is a table by Locust's extension points. Its charts have none, so a small script adds ours to the page.
"""

from collections.abc import Callable
from typing import Any

from flask import Response, request
from locust.web import WebUI

from loadtest.runs import Run
from loadtest.settings import shown

KEY = "audit"
WORDS = {
    "accepted": "votes accepted",
    "voters": "voters who cast them",
    "confirmed": "voters whose last vote is in the database, once",
    "lost": "lost",
    "doubled": "doubled",
    "reverted": "reverted: an older vote came back",
    "either": "voted twice at once: either vote is right",
    "undecided": "undecided: their last vote got no clear answer",
    "refused": "votes refused",
    "in_doubt": "votes in doubt",
}
SCRIPT = """
const chart = document.createElement("img");
chart.alt = "vote to screen in milliseconds";
chart.style.cssText = "display:block;width:calc(100% - 48px);max-width:1536px;margin:0 auto 32px";
document.body.append(chart);
function show() {
  const wanted = new URLSearchParams(location.search).get("tab") === "charts";
  chart.hidden = !wanted;
  chart.style.display = wanted ? "block" : "none";
  if (wanted) chart.src = "vote-to-screen.svg?" + Math.floor(Date.now() / 2000);
}
setInterval(show, 500);
show();
"""


def add_web_tab(web_ui: WebUI, run: Callable[[], Run | None]) -> None:
    """Add them."""
    app = web_ui.app
    assert app is not None
    web_ui.template_args |= {
        "extended_tabs": [{"title": "Audit", "key": KEY}],
        "extended_tables": [
            {"key": KEY, "structure": [{"key": "name", "title": "What"}, {"key": "value", "title": "Found"}]}
        ],
    }

    @app.route("/vote-to-screen.js")
    def script() -> Response:
        return Response(SCRIPT, mimetype="text/javascript")

    @app.route("/vote-to-screen.svg")
    def chart() -> Response:
        newest = run()
        return Response(newest.timeline.svg() if newest else "", mimetype="image/svg+xml")

    @app.after_request
    def extend(response: Response) -> Response:
        if request.path == "/stats/requests" and response.is_json:
            found = {**response.get_json(), "extended_stats": [{"key": KEY, "data": rows(run())}]}
            response.set_data(app.json.dumps(found))
        elif request.path == "/" and response.status_code == 200:
            page = response.get_data(as_text=True)
            response.set_data(page.replace("</body>", '<script src="vote-to-screen.js"></script></body>'))
        return response


def rows(run: Run | None) -> list[dict[str, Any]]:
    """The tab's table, which Locust sorts by the first column."""
    if run is None or run.result is None:
        state = "comes when the test has ended" if run is None or not run.problem else run.problem
        return [_row(1, "the audit", state)]
    audit = run.result["audit"]
    verdict = "every vote was found" if audit["ok"] else "FOUND WRONG"
    found = [("the audit", verdict), *((words, _number(audit.get(name))) for name, words in WORDS.items())]
    found += [("wrong", problem) for problem in audit["problems"]]
    found += [("note", note) for note in audit["notes"]]
    found += [_limit(**one) for one in run.result["limits"]]
    found += [("limit found", line) for line in run.result["climb_in_words"]]
    found += [("the run", "PASSED" if run.result["ok"] else "FAILED"), ("its files", shown(run.folder))]
    return [_row(number, name, value) for number, (name, value) in enumerate(found, start=1)]


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _limit(name: str, value: float | None, limit: float, holds: bool) -> tuple[str, str]:
    measured = "not measured" if value is None else f"{value:g}"
    return f"{name}, at most {limit:g}", measured if holds else f"{measured}: BROKEN"


def _row(number: int, name: str, value: object) -> dict[str, Any]:
    return {"name": f"{number:02}  {name}", "value": str(value)}
