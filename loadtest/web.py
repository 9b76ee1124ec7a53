"""Our part of Locust's page: a line that says how the test goes, the audit's tab, the chart "vote to screen".

Locust asks its server only while a test runs, and the audit comes afterwards. So a script of ours (page.js) asks
`/run.json` by itself, which `make loadtest-start` follows as well.
"""

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from flask import Response, jsonify, request, send_from_directory
from locust.env import Environment
from locust.runners import STATE_CLEANUP, STATE_RUNNING, STATE_SPAWNING, STATE_STOPPING, MasterRunner
from locust.web import WebUI

from loadtest.launch import DEFAULT_USERS, LASTS, USERS_PER_SPAWN_RATE
from loadtest.report import audit_table, in_words
from loadtest.runs import Run
from loadtest.settings import shown
from loadtest.shapes import name_of

UNDER_WAY = (STATE_SPAWNING, STATE_RUNNING, STATE_STOPPING, STATE_CLEANUP)
START_SECONDS = 90.0  # from the button until the first user, at most: the queue is to be empty before a test
FILES = ("page.js", "page.css")
HEAD = '<link rel="stylesheet" href="page.css">'
BODY = '<script src="page.js"></script>'
HINT = (
    "Choose how many users come, or a shape, and press Start. With a shape, the number of users is its peak (of "
    "FindTheLimit: its first step) and the run time is how long it takes; left empty, that is "
    f"{LASTS['steady']} (Soak: {LASTS['soak']}; FindTheLimit: {LASTS['find-the-limit']}). Without a shape and a run "
    "time, the test goes on until Stop. Then the audit looks for every accepted vote."
)


def add_to_page(web_ui: WebUI, run: Callable[[], Run | None]) -> None:
    """Add it to Locust's page; `run` is the newest run."""
    app, environment = web_ui.app, web_ui.environment
    assert app is not None
    _change_form(web_ui)
    start = _Start(environment)

    @app.route("/run.json")
    def now() -> Response:
        return jsonify(status(environment, run(), start.state()))

    @app.route("/vote-to-screen.svg")
    def chart() -> Response:
        newest = run()
        return Response(newest.timeline.svg() if newest else "", mimetype="image/svg+xml")

    for name in FILES:
        app.add_url_rule(f"/{name}", name, lambda name=name: send_from_directory(Path(__file__).parent, name))

    app.before_request(partial(_forget_run_time, environment))
    app.after_request(partial(_extend, start))


class _Start:
    """Whether a test is under way, for Locust's page, which asks no more as soon as it hears of another state.

    Locust itself says `ready` or `stopped` from Start until the first user, while we look at the system, and `cleanup`
    until the last user has gone.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._pressed: float | None = None

    def press(self, is_start: bool) -> None:
        """Start or Stop was pressed."""
        self._pressed = time.monotonic() if is_start else None

    def state(self) -> str:
        """Locust's state, which is `spawning` from Start on, and `running` until the end."""
        assert self._environment.runner is not None
        state: str = self._environment.runner.state
        if state in UNDER_WAY:
            self._pressed = None
        elif self._pressed is not None and time.monotonic() - self._pressed < START_SECONDS:
            return STATE_SPAWNING
        return STATE_RUNNING if state in (STATE_CLEANUP, STATE_STOPPING) else state


def status(environment: Environment, run: Run | None, of_locust: str) -> dict[str, Any]:
    """The newest run: `running`, `auditing` or `ended`; `words` and `ok` when it has ended."""
    runner = environment.runner
    state = "running" if of_locust in UNDER_WAY else "auditing" if run and run.result is None else "ended"
    return {
        "state": state,
        "workers": runner.worker_count if isinstance(runner, MasterRunner) else None,
        "run": run.folder.name if run else None,
        "progress": run.progress() if run else "",
        "headline": _headline(environment, run, state),
        "hint": HINT,
        "words": in_words(run.result, shown(run.folder)) if run and run.result else [],
        "audit": audit_table(run),
        "ok": run.result["ok"] if run and run.result and state == "ended" else None,
    }


def _headline(environment: Environment, run: Run | None, state: str) -> str:
    if state == "running" and (run is None or run.result is not None):
        return "Looking at the system before the first vote: the queue is to be empty."
    if state == "auditing":
        return "The audit is looking for every accepted vote in the database."
    if run is None:
        return "Ready for a load test."
    if state == "running":
        options: Any = environment.parsed_options
        shape = name_of(environment.shape_class)
        lasts = f" (takes {LASTS[shape]})" if shape and not options.run_time else ""
        what = f"{shape}{lasts}, {options.num_users} users at its peak" if shape else "running"
        return f"{what}: {', '.join(part.strip() for part in run.progress().split('  ') if part.strip())}"
    if run.result is not None and run.result["ok"]:
        return "PASSED: every accepted vote was found, and every limit held. The tab Audit has it all."
    wrong = next((f"{name} {found}" for name, found, is_wrong in audit_table(run) if is_wrong), "no result")
    return f"FAILED: {wrong}. The tab Audit has it all."


def _forget_run_time(environment: Environment) -> None:
    """Locust keeps the time of the test before where the form leaves it empty; a shape would then end after it."""
    options = environment.parsed_options
    if request.path == "/swarm" and options is not None and not request.form.get("run_time"):
        options.run_time = None


def _extend(start: _Start, response: Response) -> Response:
    """What Locust has no extension point for."""
    if request.path == "/" and response.status_code == 200:
        page = response.get_data(as_text=True)
        response.set_data(page.replace("</head>", f"{HEAD}</head>").replace("</body>", f"{BODY}</body>"))
    elif request.path in ("/swarm", "/stop") and response.is_json and response.get_json()["success"]:
        start.press(request.path == "/swarm")
    elif request.path == "/stats/requests" and response.is_json:
        response.set_data(json.dumps({**response.get_json(), "state": start.state()}))
    return response


def _change_form(web_ui: WebUI) -> None:
    """What the form begins with, and which of its fields are used: with our shapes as well, the users are."""
    update: Any = web_ui.update_template_args
    options: Any = web_ui.environment.parsed_options

    def update_with_ours() -> None:
        update()
        users = options.num_users or DEFAULT_USERS
        web_ui.template_args |= {
            "num_users": users,
            "spawn_rate": options.spawn_rate or max(1, users // USERS_PER_SPAWN_RATE),
            "shape_use_common_options": True,
            "hide_common_options": False,
            "extended_tabs": [{"title": "Audit", "key": "audit"}],
        }

    web_ui.update_template_args = update_with_ours  # type: ignore[method-assign]
