"""The stage of the drill: two vote services on one queue, and every part with a supervisor and a clock of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from local import parts
from local.running import Running
from proof.system import System, free_ports
from proof.waiting import eventually

SECOND = "vote-2"
SERVICES = ("vote", SECOND, "worker", "result")

# How far the clocks are from the machine's: ten minutes at least between any two parts. Redis keeps the machine's,
# because its memory allocator hangs under libfaketime, and nobody asks it for the time.
CLOCKS = {"postgres": "-10m", "vote": "+10m", SECOND: "-20m", "worker": "+20m", "result": "-30m"}
FAKETIME = (*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), *Path("/usr/lib").glob("faketime/libfaketime.so.1"))

READY_SECONDS = 90.0
NOT_YET = (OSError, httpx.HTTPError)


class Stage:
    """What runs; `runs` has the supervisor of each part."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        ports = free_ports()
        self._folder = folder.resolve()
        self._settings = settings
        self._client = httpx.Client(timeout=3)
        self.runs = {part: self._run(part, ports) for part in parts.PARTS}

    def start_second(self) -> None:
        """The second vote service, which is a system of its own, with the queue of the first."""
        redis_url = eventually(lambda: self.facts().redis_url, within=READY_SECONDS, despite=NOT_YET)
        self.runs[SECOND] = self._run(SECOND, {**free_ports(), "REDIS_URL": redis_url})

    def facts(self) -> Running:
        """What runs now; the second vote service under its own name."""
        facts = {name: run.facts() for name, run in self.runs.items()}
        first, second = facts["vote"], facts.get(SECOND, Running({}, {}))
        return Running(
            urls=first.urls | ({SECOND: second.vote_url} if second.vote_url else {}),
            pids=first.pids | ({SECOND: second.pids["vote"]} if "vote" in second.pids else {}),
        )

    def pids(self) -> Mapping[str, int]:
        """The processes of the parts."""
        return self.facts().pids

    def wait_until_ready(self) -> Running:
        """Wait until all services are ready."""

        def ready() -> bool:
            urls = [self.facts().urls.get(service, "") for service in SERVICES]
            return all(url and self._client.get(f"{url}/readyz").is_success for url in urls)

        eventually(ready, within=READY_SECONDS, saying="everything is ready", despite=NOT_YET)
        return self.facts()

    def stop(self) -> None:
        """Stop everything; fails if a process is left behind."""
        self._client.close()
        for run in self.runs.values():
            run.ask_to_stop()
        for run in self.runs.values():
            run.end()
        self.runs["vote"].check_that_all_is_gone()

    def _run(self, name: str, settings: Mapping[str, str]) -> System:
        folder, part = (self._folder / name, "vote") if name == SECOND else (self._folder, name)
        return System(folder, {**self._settings, **settings, **_clock(name)}, parts=(part,))


@contextmanager
def staged(folder: Path, settings: Mapping[str, str]) -> Iterator[Stage]:
    """The stage with everything ready; stopped at the end."""
    stage = Stage(folder, settings)
    try:
        stage.start_second()
        stage.wait_until_ready()
        yield stage
    finally:
        stage.stop()


def _clock(part: str) -> dict[str, str]:
    if part not in CLOCKS or not FAKETIME:
        return {}
    return {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME": CLOCKS[part], "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
