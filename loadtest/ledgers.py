"""The ledger that the users of this process write, and how workers hand theirs in to the master, which audits all."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerRunner

from loadtest.settings import data_folder
from proof.ledger import Ledger, open_ledger

CHUNK = "ledger"
END = "ledger_end"
CHUNK_CHARACTERS = 128 * 1024
WAIT_SECONDS = 60.0


class CurrentLedger:
    """The ledger of the test that runs in this process; between tests there is none."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._ledger: Ledger | None = None
        self.path: Path | None = None

    @property
    def is_open(self) -> bool:
        return self._ledger is not None

    @property
    def ledger(self) -> Ledger:
        if self._ledger is None:
            raise RuntimeError("no test is running")
        return self._ledger

    def open(self, path: Path) -> None:
        self.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._ledger = self._stack.enter_context(open_ledger(path))
        self.path = path

    def close(self, *, within: float = 0.0) -> None:
        """End the ledger; users may have been stopped while their votes were under way, whose answers are awaited."""
        with gevent.Timeout(within, False):
            while self._ledger is not None and self._ledger.under_way:
                gevent.sleep(0.01)
        self._stack.close()
        self._ledger = None


current = CurrentLedger()


class Collector:
    """On the master: takes in the ledgers of the workers that took part."""

    def __init__(self, runner: MasterRunner) -> None:
        self._runner = runner
        self._folder: Path | None = None
        self._missing: set[str] = set()
        runner.register_message(CHUNK, self._take)
        runner.register_message(END, self._end)
        _stop_before_quitting(runner)

    def begin(self, folder: Path) -> None:
        """A test begins whose ledgers belong into this folder."""
        self._folder = folder
        self._missing = set()

    def expect(self) -> None:
        """The users are there: whoever is connected now owes a ledger."""
        self._missing |= {client.id for client in self._runner.clients.all}

    def wait(self) -> str:
        """Wait for what is owed; returns what is missing, in words."""
        with gevent.Timeout(WAIT_SECONDS, False):
            while self._missing:
                gevent.sleep(0.1)
        if not self._missing:
            return ""
        return f"{len(self._missing)} workers never sent their ledgers, so nobody knows what became of their votes"

    def _take(self, environment: Environment, msg: Any, **_: Any) -> None:
        if self._folder is not None:
            with (self._folder / f"ledger-{msg.node_id}.jsonl").open("a", encoding="utf-8") as file:
                file.write(msg.data)

    def _end(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._missing.discard(msg.node_id)


def _stop_before_quitting(runner: MasterRunner) -> None:
    """Let a headless master stop its workers, and hear from them, before it dismisses them.

    Locust's own `quit` ends the test first and stops the users on the workers afterwards.
    """
    quit_now = runner.quit
    message: Any = Message
    has_quit = False

    def stop_and_quit() -> None:
        nonlocal has_quit
        if has_quit:  # Locust quits more than once, and waits for a while each time
            return
        has_quit = True
        workers = [client.id for client in runner.clients.all]
        runner.stop()
        # one that has stopped is unknown to the master until it is ready for the next test
        for worker in workers:
            runner.server.send_to_client(message("quit", None, worker))
        quit_now()

    runner.quit = stop_and_quit  # type: ignore[method-assign]


def worker_ledger(number: int) -> Path:
    """Where a worker keeps its ledger until the master has it."""
    return data_folder() / "loadtest" / "workers" / f"{os.getpid()}-{id(current)}-{number}.jsonl"


def send_ledger(runner: WorkerRunner, path: Path) -> None:
    """Send a worker's ledger to the master, and delete it."""
    with path.open(encoding="utf-8") as file:
        while chunk := file.read(CHUNK_CHARACTERS):
            runner.send_message(CHUNK, chunk)  # type: ignore[arg-type]  # any type that msgpack knows
            gevent.sleep(0)
    runner.send_message(END)
    path.unlink()
