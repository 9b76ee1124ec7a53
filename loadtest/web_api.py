"""Our part of Locust's page for programs: how the test goes, and its verdict."""

from collections.abc import Callable
from typing import Any

from flask import jsonify, request
from flask.wrappers import Response
from locust.runners import STATE_CLEANUP, STATE_RUNNING, STATE_SPAWNING, STATE_STOPPING, MasterRunner, Runner
from locust.web import WebUI

from loadtest.console import in_words
from loadtest.runs import Run
from loadtest.settings import shown

UNDER_WAY = (STATE_SPAWNING, STATE_RUNNING, STATE_STOPPING, STATE_CLEANUP)


def add_web_api(web_ui: WebUI, run: Callable[[], Run | None]) -> None:
    """Add `/run.json`."""
    app = web_ui.app
    assert app is not None

    @app.route("/run.json")
    def now() -> Response:
        assert web_ui.environment.runner is not None
        return jsonify(status(web_ui.environment.runner, run()))

    @app.before_request
    def forget_run_time() -> None:
        # Locust keeps the time of the test before where the form leaves it empty; a shape would then end after it.
        options = web_ui.environment.parsed_options
        if request.path == "/swarm" and options is not None and not request.form.get("run_time"):
            options.run_time = None


def status(runner: Runner, run: Run | None) -> dict[str, Any]:
    """The newest run: `running`, `auditing` or `ended`; `words` and `ok` when it has ended."""
    workers = runner.worker_count if isinstance(runner, MasterRunner) else None
    state = "running" if runner.state in UNDER_WAY else "auditing" if run and run.result is None else "ended"
    found: dict[str, Any] = {"state": state, "workers": workers, "run": None, "progress": "", "words": [], "ok": None}
    if run is None:
        return found
    found |= {"run": run.folder.name, "progress": run.progress()}
    if run.result is not None:
        found |= {"words": in_words(run.result, shown(run.folder)), "ok": run.result["ok"]}
    return found
