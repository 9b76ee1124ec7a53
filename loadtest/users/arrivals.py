"""The open model as users: each is a source of so many votes a second, whatever the answers take."""

import random
import time

import gevent  # type: ignore[import-untyped]
from gevent.pool import Pool  # type: ignore[import-untyped]
from locust import constant, task

from loadtest.open_model import Schedule, corrected_seconds
from loadtest.settings import limits
from loadtest.users.booth import Booth
from proof.browser import Browser

OPEN_VOTE = "vote (from when it was due)"
MOST_UNDER_WAY = 500  # of one source; what is due beyond that waits, and its waiting is measured
STOP_SECONDS = 5.0

PER_SECOND = float(limits()["people"]["votes_per_source"])


class Arrivals(Booth):
    """A source of votes, each of somebody new."""

    weight = 10
    wait_time = constant(0)
    concurrency = MOST_UNDER_WAY

    def on_start(self) -> None:
        super().on_start()
        self.under_way = Pool(MOST_UNDER_WAY)
        # sources that began together would otherwise send together
        self.schedule = Schedule(PER_SECOND, time.perf_counter() + random.uniform(0, 1 / PER_SECOND))

    @task
    def arrive(self) -> None:
        """Send the next vote when it is due."""
        due = self.schedule.next_due()
        gevent.sleep(max(0.0, due - time.perf_counter()))
        self.under_way.spawn(self._vote, due)

    def _vote(self, due: float) -> None:
        accepted = self.cast_by_api(Browser(), random.choice("ab"))
        self.environment.events.request.fire(
            request_type="OPEN",
            name=OPEN_VOTE,
            response_time=1000 * corrected_seconds(due=due, answered=time.perf_counter()),
            response_length=0,
            exception=None if accepted else ConnectionError("not accepted"),
            context={},
        )

    def on_stop(self) -> None:
        self.under_way.join(timeout=STOP_SECONDS)
        self.under_way.kill()
