"""Edits, broken edits and restarts while people vote: none of them may cost anybody a request. `make loadtest-edits`.

It edits the files of this folder, whose code `make up` runs here or, with COMPOSE=tallyho, Compose or Tilt in
containers; looks for each edit in what runs; and takes it back. Restarts of Redis and PostgreSQL are only reported: a
vote that is on its way to Redis when it stops is in doubt, whoever stops it.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Protocol

import httpx

from bench.edits.edit import BROKEN_CODE, EDITS, Change, Edit, applied, check
from bench.edits.impacts import Act, Row, rows, table
from bench.settings import BenchError, end_by_signals
from loadtest import LoadTestError, compose
from loadtest.background import Load
from loadtest.drill import read_events, say_audit, wait_for_recovery
from loadtest.request_log import read_log
from loadtest.settings import PROJECT, compose_project, data_folder, number, pids_here, target
from local import control, running
from local.errors import LocalError
from proof import ProofError
from proof.waiting import TooLate, eventually

USERS, EDITS_EACH, BROKEN, RESTARTS = 100, 20, 5, 10
FIRST_SECONDS = 10.0  # nobody touches anything: what the machine does by itself
CALM_SECONDS = 1.0  # between two acts: nobody edits two files within a second
BROKEN_SECONDS = 5.0  # how long broken code stays in containers, which do not tell that they have noticed
SHOWN_SECONDS = 90.0
ANSWER_SECONDS = 10.0
OLD_PROCESS_SECONDS = 6.0  # until the process that was replaced has ended
ACT_SECONDS = 10.0  # at most, usually

QUIET = "nobody touches anything"
SERVICES = ("vote", "worker", "result")
EDIT_OF = {edit.service: edit for edit in EDITS if edit.name in SERVICES}
WORKER_URL = "http://127.0.0.1:9100"  # in its container
STARTED = re.compile(r"^process_start_time_seconds (\S+)", re.MULTILINE)


class Place(Protocol):
    """Where the system runs."""

    @property
    def servers(self) -> tuple[str, ...]: ...
    def check(self) -> None: ...
    def page(self, service: str, path: str) -> str: ...
    def restart(self, part: str) -> None: ...
    def wait_until_noticed(self, service: str) -> None: ...


class Processes:
    """What `make up` runs."""

    servers = ("redis", "postgres")

    def check(self) -> None:
        if missing := [part for part in (*SERVICES, *self.servers) if part not in pids_here()]:
            raise LoadTestError(f"{', '.join(missing)}: not running here; make up starts everything")

    def page(self, service: str, path: str) -> str:
        facts = running.read(data_folder())
        return _get(f"{facts.urls[service]}{path}") if facts else ""

    def restart(self, part: str) -> None:
        control.restart(data_folder(), part)

    def wait_until_noticed(self, service: str) -> None:
        """Until the supervisor has tried the broken code."""
        eventually(lambda: running.broken(data_folder(), service), within=SHOWN_SECONDS)


class Containers:
    """The containers for work of a Compose project, from Compose or Tilt.

    Their services restart in place at SIGHUP; `docker compose restart` would take the port away with the container.
    """

    servers = ("redis", "db")

    def __init__(self, project: str) -> None:
        self._project = project

    def check(self) -> None:
        found = compose.compose(self._project, "ps", "--services", "--status", "running").split()
        if missing := [part for part in (*SERVICES, *self.servers) if part not in found]:
            raise LoadTestError(f"{', '.join(missing)}: not running in {self._project}")

    def page(self, service: str, path: str) -> str:
        if service != "worker":  # whose port is not published
            where = target()
            return _get((where.vote_url if service == "vote" else where.result_url) + path)
        code = f"import urllib.request as r; print(r.urlopen('{WORKER_URL}{path}').read().decode())"
        return compose.compose(self._project, "exec", "-T", service, "python", "-c", code)

    def restart(self, part: str) -> None:
        if part not in SERVICES:
            compose.compose(self._project, "restart", part)
            return
        before = STARTED.findall(self.page(part, "/metrics"))
        compose.compose(self._project, "kill", "-s", "HUP", part)
        _until(lambda: STARTED.findall(self.page(part, "/metrics")) != before, f"a new process of {part} answers")

    def wait_until_noticed(self, service: str) -> None:
        time.sleep(BROKEN_SECONDS)


def _get(url: str) -> str:
    # a new connection each time: the one that is kept may be the old process's
    return httpx.get(url, timeout=ANSWER_SECONDS, verify=False).raise_for_status().text


def _until(is_so: Callable[[], bool], what: str) -> None:
    try:
        eventually(is_so, within=SHOWN_SECONDS, despite=(httpx.HTTPError, LoadTestError))
    except TooLate:
        raise LoadTestError(f"not within {SHOWN_SECONDS:g} s: {what}") from None


class Developer:
    """Whoever works on the system while people vote."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._marker = time.time_ns() // 1_000_000  # no two runs have the same

    def edit(self, service: str) -> None:
        """Edit its code, and take the edit back, each time until that is what runs."""
        with self._applied(EDIT_OF[service]) as shown:
            self._until_shown(service, shown)
        self._until_shown(service, shown, there=False)

    def break_and_mend(self, service: str) -> None:
        """Save what Python can't compile; mend it; the next edit is taken up as ever."""
        change = Change(EDIT_OF[service].changes[0].file, "", BROKEN_CODE)
        with self._applied(replace(EDIT_OF[service], changes=(change,))):
            self._place.wait_until_noticed(service)
        self.edit(service)

    def restart(self, part: str) -> None:
        """Restart it, until a vote that was cast afterwards is on the dashboard."""
        self._place.restart(part)
        wait_for_recovery(target().result_url, since=time.time())

    @contextmanager
    def _applied(self, edit: Edit) -> Iterator[str]:
        self._marker += 1
        with applied(edit, PROJECT, self._marker):
            yield edit.shown.replace("{}", str(self._marker))

    def _until_shown(self, service: str, shown: str, *, there: bool = True) -> None:
        path = EDIT_OF[service].path
        what = f"{service} {'shows' if there else 'no longer shows'} the edit; does it run the code of {PROJECT}?"
        _until(lambda: (shown in self._place.page(service, path)) is there, what)


@dataclass(frozen=True)
class Step:
    """One thing to do, and the row of the table that it belongs to."""

    row: str
    do: Callable[[], None]


def plan(place: Place) -> list[Step]:
    """Everything that will be done, in its order."""
    developer = Developer(place)
    steps: list[Step] = []

    def add(row: str, times: int, do: Callable[[str], None], *parts: str) -> None:
        steps.extend(Step(row, partial(do, part)) for part in islice(cycle(parts), times))

    edits, broken, restarts = (
        int(number(name, default))
        for name, default in (("EDITS", EDITS_EACH), ("BROKEN", BROKEN), ("RESTARTS", RESTARTS))
    )
    for service in SERVICES:
        add(f"edits of {service}", edits, developer.edit, service)
    add("broken edits, then mended", broken, developer.break_and_mend, *SERVICES)
    for part in SERVICES:
        add(_restarts_of(part), restarts, developer.restart, part)
    # What goes wrong with the last of the services must not be taken for a server's doing.
    steps.append(Step(QUIET, partial(time.sleep, OLD_PROCESS_SECONDS)))
    for part in place.servers:
        add(_restarts_of(part), restarts, developer.restart, part)
    return steps


def _restarts_of(part: str) -> str:
    return f"restarts of {part}"


def main() -> int:
    """The exit code: 0 if no request failed but during restarts of the servers, and every vote was found."""
    end_by_signals()
    try:
        return _edit_under_load()
    except (ProofError, BenchError, LocalError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _edit_under_load() -> int:
    project = compose_project()
    place: Place = Containers(project) if project else Processes()
    place.check()
    for edit in EDIT_OF.values():
        check(edit, PROJECT)
    steps, users = plan(place), int(number("USERS", USERS))
    print(f"{users} users; {len(steps)} edits and restarts", flush=True)
    with Load(users, ACT_SECONDS * len(steps), LOG_REQUESTS="1", PROCESSES="1") as load:
        acts, problems = _do_all(steps, load) if load.wait_for_users() else ([], ["the load test did not begin"])
        end = time.time()
        folder, result = load.end()
    found = rows(acts, end, read_log(folder), [at for at, _ in read_events(folder).seen]) if acts else []
    return _conclude(found, problems, result["audit"], folder, place, users)


def _do_all(steps: Sequence[Step], load: Load) -> tuple[list[Act], list[str]]:
    """Returns when each began, and what went wrong with them."""
    time.sleep(1)  # until all users are there
    acts: list[Act] = [(QUIET, time.time())]
    problems: list[str] = []
    time.sleep(number("FIRST_SECONDS", FIRST_SECONDS))
    for step in steps:
        if load.has_ended:
            return acts, [*problems, "the load test ended before all was done"]
        acts.append((step.row, began := time.time()))
        try:
            step.do()
        except (BenchError, LocalError, LoadTestError, TooLate) as error:
            problems.append(f"{step.row}: {error}")
        print(f"  {step.row}: {time.time() - began:.1f} s", flush=True)
        time.sleep(number("CALM_SECONDS", CALM_SECONDS))
    return acts, problems


def _conclude(
    found: Sequence[Row], problems: list[str], audit: dict[str, Any], folder: Path, place: Place, users: int
) -> int:
    (folder / "edits.json").write_text(json.dumps([asdict(row) for row in found], indent=2) + "\n", encoding="utf-8")
    print(f"\n{table(found, users=users)}\n")
    for row in found:
        print(*(f"{row.title}: {many} x {what}\n" for what, many in row.failures.items()), sep="", end="")
    say_audit(audit, folder)
    wrong = [*problems, *judge(found, place.servers)]
    print(*(f"  wrong: {problem}\n" for problem in wrong), sep="", end="")
    passed = bool(found) and audit["ok"] and not wrong
    print("PASSED" if passed else "FAILED")
    return 0 if passed else 1


def judge(found: Sequence[Row], servers: Sequence[str]) -> list[str]:
    """What must not be, in words: requests that failed, but for those during the restarts of these servers."""
    reported = {_restarts_of(server) for server in servers}
    return [f"{row.title}: {row.failed} requests failed" for row in found if row.failed and row.title not in reported]


if __name__ == "__main__":
    sys.exit(main())
