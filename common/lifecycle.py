"""How a service runs and ends.

The signals are ours, not Hypercorn's: since Python 3.12.1 it waits for open WebSockets before its own time limit counts
(pgjones/hypercorn #308), and tells the application only afterwards; its task that pings a WebSocket outlives it too. So
the first signal makes the service not ready, ends what would go on for ever, and stops the server as soon as the last
answer is given, or at a deadline; the second signal ends the process at once.
"""

import asyncio
import errno
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import hypercorn.asyncio
import structlog
import uvloop
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope
from quart import Quart

from common.connections import Gate, PatientConfig, adapt_hypercorn, allow_many_files, note_failed_connection
from common.lag import watch_lag
from common.logs import configure_logs
from common.ops import Health
from common.settings import Settings, SettingsError
from common.tasks import end
from common.traces import traces

STOP_SECONDS = 3.0  # from the first signal until the server is ended, whatever still hangs on it
FLUSH_SECONDS = 0.1  # from the last answer until the server is ended: its bytes may still be on their way out
# Keeps proxies from closing a silent WebSocket. Hypercorn also holds a closed one for up to this long.
PING_SECONDS = 10.0

log = structlog.get_logger()


class CannotStart(Exception):
    """Something outside of the program keeps it from starting; the text says what, and what to do."""


class PortTaken(CannotStart):
    """Another program listens on the port."""


@contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """An event that the first SIGTERM or SIGINT sets; the second ends the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info("stopping", signal=number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def serve(
    app: Quart,
    *,
    bind: tuple[str, int],
    health: Health,
    tls: tuple[str, str] | None = None,
    loops: tuple[Coroutine[Any, Any, None], ...] = (),
    close: Callable[[], None] = lambda: None,
) -> None:
    """Serve the application beside its loops until a signal comes; `close` ends answers that go on by nature.

    A loop that fails ends the service with its error: better started again than half alive. `tls` are the paths of
    certificate and key. Raises CannotStart.
    """
    with stop_on_signals() as stop:
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(loop) for loop in (*loops, watch_lag())]
            try:
                await _serve_until(stop, _Answers(Gate(app)), _config(bind, tls), health, close)
            finally:
                await end(*others)


async def _serve_until(
    stop: asyncio.Event, answers: "_Answers", config: PatientConfig, health: Health, close: Callable[[], None]
) -> None:
    async def trigger() -> None:
        await stop.wait()
        health.stopping = True
        close()

    async def finished() -> None:
        await stop.wait()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await answers.all_given()
        except TimeoutError:
            log.warning("stopped_with_open_answers", waited_seconds=STOP_SECONDS)
        await asyncio.sleep(FLUSH_SECONDS)

    asyncio.get_running_loop().set_exception_handler(note_failed_connection)
    server = asyncio.create_task(_run_hypercorn(answers, config, trigger), name="server")
    deadline = asyncio.create_task(finished(), name="deadline")
    try:
        await asyncio.wait({server, deadline}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        deadline.cancel()
        await end(server)
        with suppress(asyncio.CancelledError):
            await server


class _Answers:
    """The application, and whether it is answering anybody: when it is not, nothing is lost by ending the server."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app
        self._open = 0
        self._none_open = asyncio.Event()
        self._none_open.set()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        self._open += 1
        self._none_open.clear()
        try:
            await self._app(scope, receive, send)
        finally:
            self._open -= 1
            if self._open == 0:
                self._none_open.set()

    async def all_given(self) -> None:
        await self._none_open.wait()


async def _run_hypercorn(app: ASGIFramework, config: PatientConfig, trigger: Callable[[], Awaitable[None]]) -> None:
    try:
        log.info("serving", address=config.bind[0], tls=config.ssl_enabled)
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=trigger)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(config.bind[0]) from error
        raise


def _config(bind: tuple[str, int], tls: tuple[str, str] | None) -> PatientConfig:
    config = PatientConfig()
    host, port = bind
    config.bind = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    if tls is not None:
        config.certfile, config.keyfile = tls
        config.alpn_protocols = ["http/1.1"]  # the one protocol whose limits are known and tested here
        try:
            config.create_ssl_context()
        except OSError as error:  # SSLError is one
            raise CannotStart(f"TLS_CERTIFICATE and TLS_KEY can't be used: {error}") from None
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.graceful_timeout = STOP_SECONDS
    config.shutdown_timeout = 1.0
    config.websocket_ping_interval = PING_SECONDS
    config.websocket_max_message_size = 1024  # bytes: viewers have nothing to say
    return config


def run(service: str, main: Callable[[Settings], Coroutine[Any, Any, None]]) -> None:
    """Run a service's main function; a mistake in the settings or a taken port ends it with one clear line."""
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        sys.exit(f"{service}: {error}")
    configure_logs(settings, service)
    if url := getattr(settings, f"{service}_url", ""):  # in a container, `serving` tells a port that nobody can reach
        log.info("published", url=url)
    allow_many_files()
    adapt_hypercorn()
    problem: BaseException | None = None
    try:
        with traces(settings, service):
            uvloop.run(main(settings))
    except* CannotStart as group:
        problem = group.exceptions[0]
    if isinstance(problem, PortTaken):  # not raised inside of "except*": Python 3.11.2 would wrap it
        problem = CannotStart(f"{problem} is taken: set {service.upper()}_PORT to another port")
    if problem is not None:
        sys.exit(f"{service}: {problem}")
