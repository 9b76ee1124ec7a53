"""Runs the programs together: starts all at once, tells when they answer, reloads on edits, stops in order."""

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from local import running
from local.environment import PROJECT
from local.errors import LocalError
from local.guard import Guard
from local.log import Log
from local.processes import Process
from local.programs import Program
from local.ready import Check, wait_until_ready, welcome
from local.running import Part

OWN_NAME = "tallyho"


@dataclass(frozen=True)
class Plan:
    """What to run; facts and checks by the programs' names. `for_others`: the pages, as other machines reach them."""

    servers: Sequence[Program]
    services: Sequence[Program]
    data: Path
    facts: Mapping[str, Part]
    checks: Mapping[str, Check]
    for_others: Sequence[Mapping[str, str]] = ()


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
        self._guard = Guard(locks=locks)
        self._servers = [self._process(program) for program in plan.servers]
        self._services = [self._process(program) for program in plan.services]

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
            self._guard.close()
            self._log.close()
        if self._failure:
            raise self._failure

    def _process(self, program: Program) -> Process:
        return Process(program, self._log, on_change=self._tell, on_failure=self._fail)

    def _all(self) -> list[Process]:
        return [*self._servers, *self._services]

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
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

    def _reap(self) -> None:
        for process in self._all():
            process.reap()

    def _fail(self, error: LocalError) -> None:
        self._failure = self._failure or error
        self._stop.set()

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        self._log.line(OWN_NAME, f"starting {', '.join(process.name for process in self._all())}")
        for process in self._servers:
            tasks.create_task(process.run(), name=process.name)
        # The services can wait for their servers themselves, but a new database takes a second or two to make.
        for process in self._servers:
            await process.prepared.wait()
        for process in self._services:
            tasks.create_task(process.run(), name=process.name)

    def _tell(self, changed: Process) -> None:
        self._guard.watch(process.pid for process in self._all() if process.pid is not None)
        running.tell(self._plan.data, changed.name, replace(self._plan.facts[changed.name], pid=changed.pid))

    async def _reload(self) -> None:
        services = {process.name: process for process in self._services}
        if not services:
            return
        # Imported here, because who runs a server only has nothing to watch.
        from local.reload import edits

        try:
            async for concerned in edits(PROJECT):
                for name in services.keys() & concerned.keys():
                    services[name].restart(f"{concerned[name]} changed")
        except OSError as error:
            self._log.line(OWN_NAME, f"edits are not noticed, because files can't be watched: {error}")

    async def _announce(self) -> None:
        # What answers before that is a server that an earlier run left behind.
        for process in self._servers:
            await process.prepared.wait()
        await wait_until_ready(self._plan.checks, on_delay=partial(self._log.line, OWN_NAME))
        urls = {name: part.url for name, part in self._plan.facts.items()}
        self._log.plain(welcome(urls, urls, self._plan.for_others, seconds=time.monotonic() - self._began))

    async def _stop_all(self) -> None:
        began = time.monotonic()
        self._log.line(OWN_NAME, "stopping")
        for group in (self._services, self._servers):
            await asyncio.gather(*(process.stop() for process in group))
        self._log.line(OWN_NAME, f"stopped ({time.monotonic() - began:.1f} s); the data is in {self._plan.data}")
