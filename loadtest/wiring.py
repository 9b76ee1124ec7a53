"""How the load test hangs on Locust's events: a ledger for each test, and an audit after it."""

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

from loadtest.noting import notebook
from loadtest.report import say, write_report
from loadtest.runs import Run
from loadtest.shapes import SHAPES, held
from loadtest.users.booth import ANSWER_SECONDS
from loadtest.web import add_to_page
from loadtest.workers import Collector, own_ledger, send_ledger

# A terminal sends Ctrl-C to all its processes, and some of them pass it on.
SAME_PRESS_SECONDS = 1.0
MASTER_SILENT_SECONDS = 15


class Tests:
    """The tests of this process, one after the other."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.collector: Collector | None = None
        self._number = 0
        self._interrupted = 0.0
        self._run_time: int | None = None
        self._finishing: Any = None
        self._is_worker = False

    def on_init(self, environment: Environment, **_: Any) -> None:
        """Locust is there, and no test yet."""
        environment.shape_class = None  # Locust takes the first one it finds
        options: Any = environment.parsed_options
        if options.headless or options.autostart:
            # Locust would count from now on, and end a test that has hardly begun: `_end_in_time` counts.
            self._run_time, options.run_time = options.run_time, None
        # As a KeyboardInterrupt it may be raised, and be lost, in any greenlet; Locust handles SIGTERM by gevent.
        gevent.signal_handler(signal.SIGINT, self._interrupt)
        if name := os.environ.get("SHAPE"):
            _take_shape(environment, name)
        if isinstance(environment.runner, MasterRunner):
            self.collector = Collector(environment.runner)
        if environment.web_ui is not None:
            add_to_page(environment.web_ui, lambda: self.run)
        self._is_worker = isinstance(environment.runner, WorkerRunner)
        if self._is_worker:
            # A master that was killed and started again does not know this worker: begin anew, and soon.
            runners.MASTER_HEARTBEAT_TIMEOUT = MASTER_SILENT_SECONDS

    def begin(self, environment: Environment, **_: Any) -> None:
        """A test begins."""
        self._number += 1
        if isinstance(environment.runner, WorkerRunner):
            notebook.open(own_ledger(self._number))
            return
        self._count_time_ourselves(environment)
        with held(environment.shape_class):
            self.wait()  # its votes would be strangers to the audit of the test before
            self.run = Run(environment)
        if self.collector is not None:
            self.collector.begin(self.run.folder)
        else:
            notebook.open(self.run.folder / "ledger-local.jsonl")
        self._end_in_time(environment, self.run)

    def on_spawned(self, **_: Any) -> None:
        """All users are there."""
        if self.collector is not None:
            self.collector.expect()

    def end(self, environment: Environment, **_: Any) -> None:
        """The last user has gone."""
        path = notebook.path
        _wait_for_answers()
        notebook.close()
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

    def wait(self) -> None:
        """Wait for the audit under way."""
        if self._finishing is not None:
            self._finishing.join()

    def on_quitting(self, environment: Environment, **_: Any) -> None:
        """Locust is about to end: it must not before the audit has."""
        if isinstance(environment.runner, WorkerRunner):
            environment.process_exit_code = 0
            return
        if environment.runner is not None:
            environment.runner.stop()
        self.wait()
        if self.run is not None or environment.web_ui is None:  # without a page, no test at all is a failure too
            ok = self.run is not None and self.run.result is not None and self.run.result["ok"]
            environment.process_exit_code = 0 if ok else 1

    def on_quit(self, exit_code: int, **_: Any) -> None:
        """Locust has printed its tables."""
        if self.run is not None:
            say(self.run)
        if self._is_worker:
            # Nothing is left to do, and a signal that comes while Python shuts down would be answered with a traceback:
            # master and worker are often stopped at once.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(exit_code)

    def _count_time_ourselves(self, environment: Environment) -> None:
        """Locust's time limit runs from the button, or from its start, while we still look at the system."""
        options: Any = environment.parsed_options
        options.run_time, self._run_time = options.run_time or self._run_time, None
        if environment.web_ui is not None:
            cancel: Any = environment.web_ui._cancel_run_time_timer
            cancel()

    def _end_in_time(self, environment: Environment, run: Run) -> None:
        """End a test after its time, which begins when the system has been looked at. Shapes end by themselves."""
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
        now, before = time.monotonic(), self._interrupted
        self._interrupted = before or now
        if not before:
            os.kill(os.getpid(), signal.SIGTERM)
        elif now - before > SAME_PRESS_SECONDS:
            os._exit(130)

    def _finish(self, environment: Environment, run: Run) -> None:
        run.finish()
        write_report(environment, run)
        if environment.web_ui is not None:
            say(run)


def wire() -> None:
    """Register everything."""
    tests = Tests()
    hooks: Any = locust.events
    hooks.init_command_line_parser.add_listener(add_arguments)
    hooks.init.add_listener(tests.on_init)
    hooks.test_start.add_listener(tests.begin)
    hooks.spawning_complete.add_listener(tests.on_spawned)
    hooks.test_stop.add_listener(tests.end)
    hooks.quitting.add_listener(tests.on_quitting)
    hooks.quit.add_listener(tests.on_quit)


def add_arguments(parser: LocustArgumentParser) -> None:
    """What the users must know, on the workers as well."""
    parser.add_argument(
        "--result-url", env_var="RESULT_URL", default="http://localhost:5001", help="the dashboard's address"
    )


def _wait_for_answers() -> None:
    """Users may have been stopped while their votes were under way."""
    with gevent.Timeout(ANSWER_SECONDS, False):
        while notebook.is_open and notebook.ledger.under_way:
            gevent.sleep(0.01)


def _take_shape(environment: Environment, name: str) -> None:
    make: Any = SHAPES[name]
    shape = make()
    shape.runner = environment.runner
    environment.shape_class = shape
