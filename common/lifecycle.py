"""How a service runs and ends.

The signals are ours: the first makes the service not ready, ends what would go on for ever, and stops the server as
soon as the last connection has ended, or at a deadline; the second ends the process at once. Where a supervisor keeps
the sockets, a new process serves before the old one gets its signal (`common/systemd.py`).
"""

import asyncio
import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import structlog
import uvloop
from hypercorn.config import Config
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)
from quart import Quart
from quart.asgi import ASGIHTTPConnection

from common import systemd
from common.connection_limits import ConnectionLimiter, raise_file_limit
from common.health import Health, measure_event_loop_lag
from common.logs import configure_logs
from common.origin import HostCheck
from common.preflight import with_port
from common.server import Server, listening
from common.settings import NO_LIMITS, ConnectionLimits, Settings, SettingsError, ignored_variables
from common.tasks import end
from common.traces import traces
from common.viewer_stream import MAX_MESSAGE_BYTES

# From the first signal until the server is ended, whatever still hangs on it. A request at the end of LAST_CALL_SECONDS
# still has time to be answered.
STOP_SECONDS = 4.0

Wait = Callable[[], Coroutine[Any, Any, object]]

log = structlog.get_logger()


async def nothing() -> None:
    """Nothing to wait for."""


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
    limits: ConnectionLimits = NO_LIMITS,
    loops: tuple[Coroutine[Any, Any, None], ...] = (),
    purpose: Literal["http", "metrics"] = "http",
    ready: Wait = nothing,
    close: Wait = nothing,
) -> None:
    """Serve the application beside its loops until a signal comes.

    `purpose` names the sockets that a supervisor may hand over. `ready` returns when the service can do its work, and
    `close` when what goes on by nature has ended. A loop that fails ends the service with its error: better started
    again than half alive. `tls` are the paths of certificate and key. Raises CannotStart.
    """
    app.asgi_http_class = _Finishing
    answers, config = _Answers(HostCheck(app)), _config(bind, tls)
    with stop_on_signals() as stop:
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(loop) for loop in (*loops, measure_event_loop_lag())]
            try:
                handed = systemd.take_sockets(purpose)
                async with listening(answers, config, ConnectionLimiter(limits), handed) as server:
                    # Until we are ready the old process serves. With a port of our own there is none: /readyz says why.
                    opens_at_once = purpose == "metrics" or not handed
                    await _serve_until(stop, server, ready, opens_at_once=opens_at_once)
                    await _end_gently(server, answers, health, close)
            except systemd.NotAListener as error:
                raise CannotStart(str(error)) from error
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise PortTaken(config.bind[0]) from error
                raise
            finally:
                await end(*others)


async def _serve_until(stop: asyncio.Event, server: Server, ready: Wait, *, opens_at_once: bool) -> None:
    """Accept connections once the service is ready, or at once; announce readiness; return at the signal."""
    stopping, getting_ready = asyncio.create_task(stop.wait()), asyncio.create_task(ready())
    try:
        if opens_at_once:
            server.begin()
        await asyncio.wait({stopping, getting_ready}, return_when=asyncio.FIRST_COMPLETED)
        if getting_ready.done():
            getting_ready.result()
            if not opens_at_once:
                server.begin()
            systemd.notify("READY=1")
        await stopping
    finally:
        await end(stopping, getting_ready)


async def _end_gently(server: Server, answers: "_Answers", health: Health, close: Wait) -> None:
    """Answer everybody who has asked or is about to, within the time there is."""
    systemd.notify("STOPPING=1")
    health.stopping = True
    server.stop_taking()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await asyncio.gather(close(), server.drained())
            await answers.all_given()  # also those to clients that have gone
    except TimeoutError:
        if answers.are_open:
            log.warning("stopped_with_open_answers", waited_seconds=STOP_SECONDS)


class _Finishing(ASGIHTTPConnection):
    """Quart's way to answer, but what is begun is finished: Quart cancels it as soon as the client has gone.

    That would leave what others use as well in the middle of something: a connection to PostgreSQL with "another
    operation in progress", one to Redis with an answer that nobody has taken. So Quart hears that the client has gone
    when the answer is given. A body that broke off ends there: nothing behind Quart reads one.
    """

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        answered = asyncio.Event()
        has_more = True

        async def receive_to_the_end() -> ASGIReceiveEvent:
            nonlocal has_more
            message = await receive()
            if message["type"] == "http.request":
                has_more = message["more_body"]
            elif has_more:
                has_more = False
                return {"type": "http.request", "body": b"", "more_body": False}
            else:
                await answered.wait()
            return message

        async def send_and_note(message: ASGISendEvent) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                answered.set()

        await super().__call__(receive_to_the_end, send_and_note)


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

    @property
    def are_open(self) -> bool:
        return not self._none_open.is_set()

    async def all_given(self) -> None:
        await self._none_open.wait()


def _config(bind: tuple[str, int], tls: tuple[str, str] | None) -> Config:
    config = Config()
    config.bind = [with_port(*bind)]
    if tls is not None:
        config.certfile, config.keyfile = tls
        config.alpn_protocols = ["http/1.1"]
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.websocket_ping_interval = None  # we ping ourselves
    config.websocket_max_message_size = MAX_MESSAGE_BYTES
    return config


def run(service: str, main: Callable[[Settings], Coroutine[Any, Any, None]]) -> None:
    """Run a service's main function; a mistake in the settings or a taken port ends it with one clear line."""
    try:
        settings = Settings.from_env([service])
    except SettingsError as error:
        sys.exit(f"{service}: {error}")
    configure_logs(settings, service)
    for advice in ignored_variables().values():
        log.warning("setting_not_read", advice=advice)
    if url := getattr(settings, f"{service}_url", ""):  # in a container, `serving` tells a port that nobody can reach
        log.info("published", url=url)
    raise_file_limit()
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
