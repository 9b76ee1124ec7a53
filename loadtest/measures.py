"""What Locust and the processor have measured so far, as our figures."""

import time
from collections.abc import Mapping
from typing import Any

import psutil  # type: ignore[import-untyped]
from locust.env import Environment

from loadtest import LoadTestError
from loadtest.figures import Histogram, Measured, percentile, together
from loadtest.settings import target
from loadtest.viewers import TO_SCREEN
from loadtest.voters import API_VOTE, FORGED_VOTE, FORM_VOTE, OPEN_VOTE

FULL = 0.8  # of a core: more of them do not help a process with one thread


def measured(environment: Environment, seconds: float) -> Measured:
    total = environment.stats.total
    # A copy, and no look-up: that would create the entry.
    entries = [(name, entry) for (name, _), entry in list(environment.stats.entries.items())]

    def times(*names: str) -> Histogram:
        return together(dict(entry.response_times) for name, entry in entries if name in names)

    votes = [entry for name, entry in entries if name in (FORM_VOTE, API_VOTE, FORGED_VOTE)]
    return Measured(
        seconds=seconds,
        requests=total.num_requests,
        failures=total.num_failures,
        votes=sum(entry.num_requests - entry.num_failures for entry in votes),
        # the time since a vote was due says more than the time since it was sent
        vote_times=times(OPEN_VOTE) or times(FORM_VOTE, API_VOTE),
        screen_times=times(TO_SCREEN),
    )


def table(environment: Environment) -> list[dict[str, Any]]:
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
    """Measures a part of a run, and which process was busiest."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def start(self) -> None:
        self._before = measured(self._environment, time.monotonic())
        self._cpu = CpuMeter(pids())

    def stop(self) -> tuple[Measured, str]:
        return measured(self._environment, time.monotonic()).since(self._before), self._cpu.busiest()


class CpuMeter:
    """How much of a core each process of the system and Locust itself has used since the meter was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: [psutil.Process(pid)] for name, pid in pids.items() if psutil.pid_exists(pid)}
        own = psutil.Process()
        self._processes["locust"] = [own, *own.children(recursive=True)]
        self._began = time.monotonic()
        self._before = self._seconds()
        psutil.cpu_percent()  # since its last call

    def shares(self) -> dict[str, float]:
        """The share of a core by process; a process that is gone is left out."""
        elapsed = time.monotonic() - self._began
        now = self._seconds()
        return {name: round(max(0.0, now[name] - self._before.get(name, 0.0)) / elapsed, 2) for name in now}

    def busiest(self) -> str:
        shares = self.shares()
        name = max(shares, key=lambda one: shares[one])
        words = f"{name} ({shares[name]:.0%} of a core"
        if name == "locust" and shares[name] > FULL:
            words += "; this is the load test itself: use PROCESSES=2 or another machine"
        return f"{words}; all of this machine's cores {psutil.cpu_percent():.0f}%)"

    def _seconds(self) -> dict[str, float]:
        seconds = {}
        for name, processes in self._processes.items():
            try:
                # PostgreSQL works in child processes
                family = [one for process in processes for one in (process, *process.children(recursive=True))]
                seconds[name] = sum(sum(one.cpu_times()[:2]) for one in set(family))
            except psutil.Error:
                continue
        return seconds


def pids() -> dict[str, int]:
    """The system's processes, if it runs on this machine."""
    try:
        return target().pids
    except LoadTestError:
        return {}
