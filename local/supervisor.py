"""Runs the parts together: starts all at once, says when they are ready, restarts them, stops them in order."""

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from local import running
from local.environment import PROJECT
from local.errors import LocalError
from local.log import Log
from local.parts import Part
from local.probe import Check, wait_until_ready
from local.processes import Keeper, Reaper
from local.running import Facts

OWN_NAME = "tallyho"


class Welcome(Protocol):
    """What to say when all is ready."""

    def __call__(self, *, seconds: float) -> str: ...


@dataclass(frozen=True)
class Plan:
    """What to run; facts and checks by the names of the parts."""

    servers: Sequence[Part]
    services: Sequence[Part]
    data: Path
    facts: Mapping[str, Facts]
    checks: Mapping[str, Check]
    welcome: Welcome


async def supervise(plan: Plan, *, locks: Sequence[int], log: Log) -> None:
    """Run the plan until a signal; raises LocalError when a part of it can't be run."""
    await _Supervisor(plan, locks=locks, log=log).run()


class _Supervisor:
    def __init__(self, plan: Plan, *, locks: Sequence[int], log: Log) -> None:
        loop = asyncio.get_running_loop()
        self._plan = plan
        self._began = time.monotonic()
        self._stop = asyncio.Event()
        self._failure: LocalError | None = None
        self._log = log
        log.on_broken = lambda: loop.call_soon_threadsafe(self._stop.set)
        self._reaper = Reaper(locks=locks)
        self._servers = [self._keeper(part) for part in plan.servers]
        self._services = [self._keeper(part) for part in plan.services]

    async def run(self) -> None:
        self._listen_to_signals()
        for keeper in self._all():
            self._tell(keeper)
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [tasks.create_task(work) for work in (self._start(tasks), self._reload(), self._announce())]
                try:
                    await self._stop.wait()
                finally:
                    for helper in helpers:
                        helper.cancel()
                    await self._stop_all()
        finally:
            self._reaper.close()
            self._log.close()
        if self._failure:
            raise self._failure

    def _keeper(self, part: Part) -> Keeper:
        return Keeper(
            part,
            say=partial(self._log.line, part.name),
            on_change=self._tell,
            on_broken=partial(running.tell_broken, self._plan.data, part.name),
            on_failure=self._fail,
        )

    def _all(self) -> list[Keeper]:
        return [*self._servers, *self._services]

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._poll)
        loop.add_signal_handler(signal.SIGUSR1, self._restart_requested)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        # The terminal was closed; `nohup` has it ignored.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._on_signal)

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._log.line(OWN_NAME, "killing everything now")
            for keeper in self._all():
                keeper.kill()
        self._stop.set()

    def _poll(self) -> None:
        for keeper in self._all():
            keeper.poll()

    def _fail(self, error: LocalError) -> None:
        self._failure = self._failure or error
        self._stop.set()

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        self._log.line(OWN_NAME, f"starting {', '.join(keeper.name for keeper in self._all())}")
        for keeper in self._servers:
            tasks.create_task(keeper.run(), name=keeper.name)
        # The services can wait for their servers themselves, but a new database takes a second or two to make.
        await self._servers_are_prepared()
        for keeper in self._services:
            tasks.create_task(keeper.run(), name=keeper.name)

    async def _servers_are_prepared(self) -> None:
        for keeper in self._servers:
            await keeper.prepared.wait()

    def _tell(self, changed: Keeper) -> None:
        self._reaper.watch(pid for keeper in self._all() for pid in keeper.pids)
        facts = replace(self._plan.facts[changed.name], pid=changed.pid, starts=changed.starts)
        running.tell(self._plan.data, changed.name, facts)

    def _restart_requested(self) -> None:
        keepers = {keeper.name: keeper for keeper in self._all()}
        for name in running.take_requests(self._plan.data, keepers):
            keepers[name].restart("make restart")

    async def _reload(self) -> None:
        services = {keeper.name: keeper for keeper in self._services}
        if not services:
            return
        # Imported here, because who runs a server only has nothing to watch.
        from local.edits import restart_on_edits

        await restart_on_edits(PROJECT, services, partial(self._log.line, OWN_NAME))

    async def _announce(self) -> None:
        # What answers before that is a server that an earlier run left behind.
        await self._servers_are_prepared()
        await wait_until_ready(self._plan.checks, on_delay=partial(self._log.line, OWN_NAME))
        self._log.plain(self._plan.welcome(seconds=time.monotonic() - self._began))

    async def _stop_all(self) -> None:
        began = time.monotonic()
        self._log.line(OWN_NAME, "stopping")
        for group in (self._services, self._servers):
            await asyncio.gather(*(keeper.stop() for keeper in group))
        self._log.line(OWN_NAME, f"stopped ({time.monotonic() - began:.1f} s); the data is in {self._plan.data}")
