"""What Locust has measured so far, as our figures."""

import time
from typing import Any

from locust.env import Environment

from loadtest.cpu import CpuMeter
from loadtest.errors import LoadTestError
from loadtest.figures import Histogram, percentile, since, together
from loadtest.settings import target
from loadtest.users.booth import API_VOTE, FORGED_VOTE, FORM_VOTE
from loadtest.verdict import Measured

OPEN_VOTE = "vote (from when it was due)"
TO_SCREEN = "vote to screen"


def measured(environment: Environment, seconds: float) -> Measured:
    """The whole run until now."""
    total = environment.stats.total
    open_model = times_of(environment, OPEN_VOTE)
    return Measured(
        seconds=seconds,
        requests=total.num_requests,
        failures=total.num_failures,
        votes=sum(
            entry.num_requests - entry.num_failures
            for (name, _), entry in list(environment.stats.entries.items())
            if name in (FORM_VOTE, API_VOTE, FORGED_VOTE)
        ),
        # what was measured from when it was due tells more than what was measured from when it was sent
        vote_times=open_model or together(times_of(environment, name) for name in (FORM_VOTE, API_VOTE)),
        screen_times=times_of(environment, TO_SCREEN),
    )


def times_of(environment: Environment, name: str) -> Histogram:
    """The response times of the entries of this name."""
    # a copy, and no look-up: that would make the entry
    entries = list(environment.stats.entries.items())
    return together(dict(entry.response_times) for (entry_name, _), entry in entries if entry_name == name)


def table(environment: Environment) -> list[dict[str, Any]]:
    """Locust's table."""
    entries = [*environment.stats.entries.values(), environment.stats.total]
    return [
        {
            "name": entry.name if entry.name.startswith(entry.method or "") else f"{entry.method} {entry.name}",
            "requests": entry.num_requests,
            "failures": entry.num_failures,
            "per_second": round(entry.total_rps, 2),
            "p50_ms": percentile(entry.response_times, 0.5),
            "p95_ms": percentile(entry.response_times, 0.95),
            "p99_ms": percentile(entry.response_times, 0.99),
            "max_ms": round(entry.max_response_time, 1),
        }
        for entry in entries
    ]


class Window:
    """Measures a part of a run, and which process was busiest in it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def start(self) -> None:
        self._began = time.monotonic()
        self._before = measured(self._environment, 0.0)
        self._cpu = CpuMeter(pids())

    def stop(self) -> tuple[Measured, str]:
        """What was measured since the start."""
        now, before = measured(self._environment, 0.0), self._before
        part = Measured(
            seconds=time.monotonic() - self._began,
            requests=now.requests - before.requests,
            failures=now.failures - before.failures,
            votes=now.votes - before.votes,
            vote_times=since(now.vote_times, before.vote_times),
            screen_times=since(now.screen_times, before.screen_times),
        )
        return part, self._cpu.busiest()


def pids() -> dict[str, int]:
    """The system's processes, if it runs on this machine."""
    try:
        return target().pids
    except LoadTestError:
        return {}
