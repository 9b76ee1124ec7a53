"""The server: takes connections, looks after them, and ends them. It stands where Hypercorn's own has no limits.

At its end it loses no request: see `Server.stop_taking`.

Hypercorn's `asyncio/run.py` hands each connection that the system takes to a task; nobody counts them, a TLS client may
take a minute for its handshake and half of one for its goodbye, and HTTP/2 is a protocol of its own. Of Hypercorn
remain its settings, its sockets, and what makes ASGI of HTTP (`common/protocols.py`).
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from ssl import SSLContext
from typing import Any

import structlog
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from common.connection_limits import ConnectionLimiter
from common.connections import UNREAD_SECONDS, Connection
from common.preflight import with_port
from common.tasks import end

BACKLOG = 1024  # connections that wait to be taken
AT_A_TIME = 100  # connections that are taken before others in this process have their turn
HANDSHAKE_SECONDS = 5.0  # for TLS, and for its goodbye
LOOK_SECONDS = 0.5
LAST_LOOK_SECONDS = 0.1  # while the service stops
SHUTDOWN_SECONDS = 1.0  # for the application, when nothing is asked of it any more
FILES_SECONDS = 1.0  # after which a file may be free again
SEND_BUFFER_BYTES = 32 * 1024  # in the kernel, which by itself would keep megabytes for who does not read

log = structlog.get_logger()


@asynccontextmanager
async def listening(
    app: ASGIFramework, config: Config, limiter: ConnectionLimiter, handed: Sequence[socket.socket] = ()
) -> AsyncIterator["Server"]:
    """Within it the application can be served, from `begin` on; at its end every connection ends.

    On the sockets that were handed over, or else on those of the settings; raises OSError if their port is taken.
    """
    async with _alive(app):
        sockets = list(handed) or _open(config)
        for each in sockets:
            prepare(each)
        server = Server(app, config, limiter, sockets)
        looking = asyncio.create_task(server.look_after())
        try:
            yield server
        finally:
            server.stop_taking()
            await end(looking)
            await server.end()


def _open(config: Config) -> list[socket.socket]:
    opened = config.create_sockets()
    return [*opened.secure_sockets, *opened.insecure_sockets]


def prepare(listener: socket.socket) -> None:
    """Set what every connection inherits: none waits for ever, or holds much.

    What is left in the kernel of a connection that we have ended ends as well; macOS has no such option.
    """
    listener.setblocking(False)
    listener.set_inheritable(False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(UNREAD_SECONDS * 1000))


@asynccontextmanager
async def _alive(app: ASGIFramework) -> AsyncIterator[None]:
    """Within it the application has begun; it is told before and after (ASGI's lifespan).

    Hypercorn's own waits with `asyncio.wait_for`, which may lose a cancellation before Python 3.12.
    """
    to_app: asyncio.Queue[Any] = asyncio.Queue()
    from_app: asyncio.Queue[Any] = asyncio.Queue()
    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    living = asyncio.create_task(_live(app, scope, to_app.get, from_app.put))
    try:
        to_app.put_nowait({"type": "lifespan.startup"})
        answer = await from_app.get()
        if answer["type"] != "lifespan.startup.complete":
            raise RuntimeError(f"the application can't begin: {answer.get('message', answer)}")
        yield
        to_app.put_nowait({"type": "lifespan.shutdown"})
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await from_app.get()
    finally:
        await end(living)


async def _live(app: ASGIFramework, scope: Any, receive: Any, send: Any) -> None:
    try:
        await app(scope, receive, send)
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": repr(error)})


class Server:
    """The connections of a service."""

    def __init__(
        self, app: ASGIFramework, config: Config, limiter: ConnectionLimiter, sockets: list[socket.socket]
    ) -> None:
        self._app = app
        self._config = config
        self._limiter = limiter
        self._sockets = sockets
        self._tls: SSLContext | None = config.create_ssl_context()
        self._loop = asyncio.get_running_loop()
        self._connections: dict[Connection, str] = {}  # with the place that each takes
        self._beginning: set[asyncio.Task[None]] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def begin(self) -> None:
        """Take connections."""
        for each in self._sockets:
            each.listen(BACKLOG)
            self._loop.add_reader(each, self._take, each)
            address = with_port(*each.getsockname()[:2])
            log.info("serving", address=address, tls=self._config.ssl_enabled)

    def stop_taking(self) -> None:
        """Accept no more connections. Each open one may send one more request, whose answer says that it is the last.

        The sockets are closed, not shut down: another process that has them too accepts those who still wait.
        """
        for each in self._sockets:
            self._loop.remove_reader(each)
            each.close()
        self._sockets = []
        for connection in list(self._connections):
            connection.last_call(self._loop.time())

    async def drained(self) -> None:
        """Wait until every connection has ended."""
        await self._is_empty.wait()

    async def end(self) -> None:
        """End every connection, and what is still being answered."""
        await end(*self._beginning)
        for connection in self._begun():
            connection.end()
        await end(*(task for each in self._begun() if each.conversation for task in each.conversation.answering))
        for connection in self._begun():
            connection.abort()
        await asyncio.sleep(0)  # they are told that they are lost

    async def look_after(self) -> None:
        """End those whose time is over, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS if self._sockets else LAST_LOOK_SECONDS)
            now = self._loop.time()
            for connection in self._begun():
                connection.look(now)

    def _begun(self) -> list[Connection]:
        """Those that are more than a handshake."""
        return [each for each in self._connections if each.conversation is not None]

    def _take(self, listener: socket.socket) -> None:
        for _ in range(AT_A_TIME):
            try:
                connection, address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:  # gone while it waited
                continue
            except OSError:
                self._wait_for_files(listener)
                return
            place = self._limiter.admit(address[0])
            if place is None:
                connection.close()
                continue
            connection.setblocking(False)
            task = self._loop.create_task(self._make(self._expect(place), connection))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    def _wait_for_files(self, listener: socket.socket) -> None:
        """A socket that can be read and not accepted would keep the event loop busy with nothing else."""
        self._limiter.no_files_left()
        self._loop.remove_reader(listener)
        self._loop.call_later(FILES_SECONDS, self._take_again, listener)

    def _take_again(self, listener: socket.socket) -> None:
        if listener in self._sockets:
            self._loop.add_reader(listener, self._take, listener)

    def _expect(self, place: str) -> Connection:
        """Note a connection from the moment it is accepted: a service that stops waits for it."""
        connection = Connection(self._app, self._config, self._tls is not None, self._is_lost)
        self._connections[connection] = place
        self._is_empty.clear()
        return connection

    async def _make(self, connection: Connection, taken: socket.socket) -> None:
        seconds = HANDSHAKE_SECONDS if self._tls else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, taken, ssl=self._tls, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=seconds
            )
        except OSError as error:  # no handshake of TLS, or none in time
            log.debug("connection_not_begun", reason=str(error) or type(error).__name__)
        finally:
            if connection.conversation is None:
                taken.close()
                self._is_lost(connection)

    def _is_lost(self, connection: Connection) -> None:
        self._limiter.leave(self._connections.pop(connection))
        if not self._connections:
            self._is_empty.set()
