"""How the load test hangs on Locust's events: a ledger and a baseline for each test, and an audit after it."""

import os
import signal
import sys
import time
from typing import Any

import gevent  # type: ignore[import-untyped]
import locust
from locust import runners
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtest.ledgers import Collector, current, send_ledger, worker_ledger
from loadtest.report import say, write_report
from loadtest.request_log import request_log
from loadtest.run import Run
from loadtest.shapes import SHAPES, waiting_for_baseline
from loadtest.voters import ANSWER_SECONDS
from loadtest.web import Page

# A terminal sends Ctrl-C to all its processes, and some of them pass it on.
SAME_PRESS_SECONDS = 1.0
MASTER_SILENT_SECONDS = 15


class Hooks:
    """Follows the tests of this process, one after another."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.collector: Collector | None = None
        self._number = 0
        self._interrupted = 0.0
        self._run_time: int | None = None
        self._finishing: Any = None
        self._is_worker = False

    def on_init(self, environment: Environment, **_: Any) -> None:
        environment.shape_class = None  # Locust takes the first one it finds
        options: Any = environment.parsed_options
        if options.headless or options.autostart:
            # Locust would count from now on, and end a test that has hardly begun: `_end_in_time` counts instead.
            self._run_time, options.run_time = options.run_time, None
        # A KeyboardInterrupt may be raised, and lost, in any greenlet; Locust handles SIGTERM by gevent.
        gevent.signal_handler(signal.SIGINT, self._interrupt)
        if name := os.environ.get("SHAPE"):
            make_shape: Any = SHAPES[name]
            shape = environment.shape_class = make_shape()
            shape.runner = environment.runner
        if isinstance(environment.runner, MasterRunner):
            self.collector = Collector(environment.runner)
        self._is_worker = isinstance(environment.runner, WorkerRunner)
        if self._is_worker:
            # A master that was killed and restarted does not know this worker: start over, and soon.
            runners.MASTER_HEARTBEAT_TIMEOUT = MASTER_SILENT_SECONDS
        if environment.web_ui is not None:
            Page(environment.web_ui, lambda: self.run)

    def on_test_start(self, environment: Environment, **_: Any) -> None:
        self._number += 1
        if isinstance(environment.runner, WorkerRunner):
            current.open(worker_ledger(self._number))
            return
        self._count_time_ourselves(environment)
        with waiting_for_baseline(environment.shape_class):
            self._wait_for_audit()  # to the audit of the test before, our votes would be a stranger's
            self.run = Run(environment)
        if self.collector is not None:
            self.collector.begin(self.run.folder)
        else:
            current.open(self.run.folder / "ledger-local.jsonl")
        if os.environ.get("LOG_REQUESTS"):
            request_log.open(self.run.folder)
            gevent.spawn(request_log.watch_ourselves, gevent.sleep)
        self._end_in_time(environment, self.run)

    def on_spawning_complete(self, **_: Any) -> None:
        if self.collector is not None:
            self.collector.expect()

    def on_test_stop(self, environment: Environment, **_: Any) -> None:
        """The last user has gone."""
        path = current.path
        current.close(within=ANSWER_SECONDS)
        request_log.close()
        if isinstance(environment.runner, WorkerRunner):
            if path is not None:
                send_ledger(environment.runner, path)
            environment.stop_timeout = 0.0  # a worker would now sleep for so long; the next test sets it again
            return
        if self.run is not None:
            self.run.stop()
            if self.collector is not None:
                self.run.problem = self.run.problem or self.collector.wait()
            self._finishing = gevent.spawn(self._finish, environment, self.run)

    def on_quitting(self, environment: Environment, **_: Any) -> None:
        """Locust is about to end, but not before the audit has."""
        if isinstance(environment.runner, WorkerRunner):
            environment.process_exit_code = 0
            return
        if environment.runner is not None:
            environment.runner.stop()
        self._wait_for_audit()
        if self.run is not None or environment.web_ui is None:  # without a page, no test at all is a failure too
            ok = self.run is not None and self.run.result is not None and self.run.result["ok"]
            environment.process_exit_code = 0 if ok else 1

    def on_quit(self, exit_code: int, **_: Any) -> None:
        if self.run is not None:
            say(self.run)
        if self._is_worker:
            # Master and worker are often stopped at once; a signal that arrives while Python shuts down would be
            # answered with a traceback.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(exit_code)

    def _wait_for_audit(self) -> None:
        if self._finishing is not None:
            self._finishing.join()

    def _finish(self, environment: Environment, run: Run) -> None:
        run.finish()
        write_report(environment, run)
        if environment.web_ui is not None:
            say(run)

    def _count_time_ourselves(self, environment: Environment) -> None:
        """Locust's time limit runs from the button, or from its own start, while the baseline is still being read."""
        options: Any = environment.parsed_options
        options.run_time, self._run_time = options.run_time or self._run_time, None
        if environment.web_ui is not None:
            cancel: Any = environment.web_ui._cancel_run_time_timer
            cancel()

    def _end_in_time(self, environment: Environment, run: Run) -> None:
        """End a test when its time is over, counted from the end of the baseline. Shapes end by themselves."""
        runner, seconds = environment.runner, getattr(environment.parsed_options, "run_time", None)
        if environment.shape_class or runner is None or not seconds:
            return

        def end() -> None:
            if self.run is not run or runner.state not in (runners.STATE_SPAWNING, runners.STATE_RUNNING):
                return
            if environment.web_ui is None:
                runner.quit()
            else:
                runner.stop()

        gevent.spawn_later(seconds, end)

    def _interrupt(self) -> None:
        """The first Ctrl-C ends the test and waits for the audit, the second one ends Locust."""
        now, before = time.monotonic(), self._interrupted
        self._interrupted = before or now
        if not before:
            os.kill(os.getpid(), signal.SIGTERM)
        elif now - before > SAME_PRESS_SECONDS:
            os._exit(130)


def register() -> None:
    hooks = Hooks()
    events: Any = locust.events
    events.init_command_line_parser.add_listener(add_arguments)
    events.init.add_listener(hooks.on_init)
    events.test_start.add_listener(hooks.on_test_start)
    events.request.add_listener(request_log.add)
    events.spawning_complete.add_listener(hooks.on_spawning_complete)
    events.test_stop.add_listener(hooks.on_test_stop)
    events.quitting.add_listener(hooks.on_quitting)
    events.quit.add_listener(hooks.on_quit)


def add_arguments(parser: LocustArgumentParser) -> None:
    """What the users have to know, on the workers as well."""
    parser.add_argument(
        "--result-url", env_var="RESULT_URL", default="http://localhost:5001", help="the dashboard's address"
    )
