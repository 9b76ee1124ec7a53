"""Which process is busiest: how much of a core each used between two looks."""

import time
from collections.abc import Mapping

import psutil  # type: ignore[import-untyped]

FULL = 0.8  # of a core: more does not help a process of one thread


class CpuMeter:
    """Looks at the processes of the system, if it runs on this machine, and at Locust's own."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: [psutil.Process(pid)] for name, pid in pids.items() if psutil.pid_exists(pid)}
        own = psutil.Process()
        self._processes["locust"] = [own, *own.children(recursive=True)]
        self._began = time.monotonic()
        self._before = self._seconds()
        psutil.cpu_percent()  # since its last call

    def shares(self) -> dict[str, float]:
        """The share of a core that each used since the meter was made; a process that is gone is left out."""
        elapsed = time.monotonic() - self._began
        now = self._seconds()
        return {name: round(max(0.0, now[name] - self._before.get(name, 0.0)) / elapsed, 2) for name in now}

    def busiest(self) -> str:
        """The name of the busiest process, and its share."""
        shares = self.shares()
        name = max(shares, key=lambda one: shares[one])
        words = f"{name} ({shares[name]:.0%} of a core"
        if name == "locust" and shares[name] > FULL:
            words += "; that is the load test itself: PROCESSES=2 or another machine gives more"
        return f"{words}; all of this machine's cores {psutil.cpu_percent():.0f}%)"

    def _seconds(self) -> dict[str, float]:
        seconds = {}
        for name, processes in self._processes.items():
            try:
                # PostgreSQL does its work in children
                family = [one for process in processes for one in (process, *process.children(recursive=True))]
                seconds[name] = sum(sum(one.cpu_times()[:2]) for one in set(family))
            except psutil.Error:
                continue
        return seconds
