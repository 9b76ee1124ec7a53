"""Runs the parts together: starts all at once, says when they are ready, restarts on edits, stops in order."""

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
from local.processes import Process, Reaper
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
        self._servers = [self._process(part) for part in plan.servers]
        self._services = [self._process(part) for part in plan.services]

    async def run(self) -> None:
        self._listen_to_signals()
        for process in self._all():
            self._tell(process)
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

    def _process(self, part: Part) -> Process:
        return Process(part, self._log, on_change=self._tell, on_failure=self._fail)

    def _all(self) -> list[Process]:
        return [*self._servers, *self._services]

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._poll)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        # The terminal was closed; `nohup` has it ignored.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._on_signal)

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._log.line(OWN_NAME, "killing everything now")
            for process in self._all():
                process.kill()
        self._stop.set()

    def _poll(self) -> None:
        for process in self._all():
            process.poll()

    def _fail(self, error: LocalError) -> None:
        self._failure = self._failure or error
        self._stop.set()

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        self._log.line(OWN_NAME, f"starting {', '.join(process.name for process in self._all())}")
        for process in self._servers:
            tasks.create_task(process.run(), name=process.name)
        # The services can wait for their servers themselves, but a new database takes a second or two to make.
        await self._servers_are_prepared()
        for process in self._services:
            tasks.create_task(process.run(), name=process.name)

    async def _servers_are_prepared(self) -> None:
        for process in self._servers:
            await process.prepared.wait()

    def _tell(self, changed: Process) -> None:
        self._reaper.watch(process.pid for process in self._all() if process.pid is not None)
        running.tell(self._plan.data, changed.name, replace(self._plan.facts[changed.name], pid=changed.pid))

    async def _reload(self) -> None:
        services = {process.name: process for process in self._services}
        if not services:
            return
        # Imported here, because who runs a server only has nothing to watch.
        from local.edits import edits

        try:
            async for concerned in edits(PROJECT):
                for name in services.keys() & concerned.keys():
                    services[name].restart(f"{concerned[name]} changed")
        except OSError as error:
            self._log.line(OWN_NAME, f"edits are not noticed, because files can't be watched: {error}")

    async def _announce(self) -> None:
        # What answers before that is a server that an earlier run left behind.
        await self._servers_are_prepared()
        await wait_until_ready(self._plan.checks, on_delay=partial(self._log.line, OWN_NAME))
        self._log.plain(self._plan.welcome(seconds=time.monotonic() - self._began))

    async def _stop_all(self) -> None:
        began = time.monotonic()
        self._log.line(OWN_NAME, "stopping")
        for group in (self._services, self._servers):
            await asyncio.gather(*(process.stop() for process in group))
        self._log.line(OWN_NAME, f"stopped ({time.monotonic() - began:.1f} s); the data is in {self._plan.data}")
