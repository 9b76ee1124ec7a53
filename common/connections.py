"""What a client may hold of a service, and for how long, before others would feel it.

Clients that send slowly are ended by Hypercorn (the headers) and Quart (the body). Against those that never read what
they are sent neither has a limit: the kernel ends them.
"""

import asyncio
import resource
import socket
from typing import Any
from urllib.parse import urlsplit

import structlog
from hypercorn.config import Config, Sockets
from hypercorn.protocol import h2, h11
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from common.idle import end_idle_connections_by_timers
from common.viewer_stream import ViewerStream
from common.whole_answers import send_answers_whole

# From the connection, or the last answer on it, until the next request's headers are complete.
HEADERS_SECONDS = 5.0
UNREAD_SECONDS = 30  # how long a client may leave unread what fills its connection, or be gone without a word
BACKLOG = 1024  # connections that wait to be taken
# A connection needs a file; many systems start a program with 1,024, of which it may take more. Enough for anybody:
# some systems answer "more" with a number that no system call takes.
MOST_FILES = 65_536

log = structlog.get_logger()


class PatientConfig(Config):
    """Hypercorn's settings, with sockets that don't wait for ever."""

    backlog = BACKLOG
    keep_alive_timeout = HEADERS_SECONDS

    def create_sockets(self) -> Sockets:
        """The listening sockets; every connection inherits their limit. Not on macOS, which has no such option."""
        sockets = super().create_sockets()
        for each in (*sockets.secure_sockets, *sockets.insecure_sockets):
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)
        return sockets


def adapt_hypercorn() -> None:
    """Have Hypercorn use our parts: for viewers, in HTTP/1 and HTTP/2, for answers, and for connections that idle."""
    h11.WSStream = ViewerStream  # type: ignore[attr-defined]
    h2.WSStream = ViewerStream  # type: ignore[attr-defined]
    send_answers_whole()
    end_idle_connections_by_timers()


class Gate:
    """The application behind a look at the request's target: Quart fails on one that is no address."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan" or _is_readable(scope["path"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 400, "headers": headers})
            body = b"The address of this request can't be read.\n"
            await send({"type": "http.response.body", "body": body, "more_body": False})
        else:
            await send({"type": "websocket.close", "code": 1002, "reason": None})


def _is_readable(path: str) -> bool:
    if path.startswith("/"):
        return True
    try:
        return bool(path) and bool(urlsplit(path))
    except ValueError:
        return False


def allow_many_files() -> None:
    """Take as many files as this process may have: the default of many systems is few for a hall full of phones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (ValueError, OSError):  # macOS promises more than it gives
            log.debug("file_limit_kept", files=soft)


def note_failed_connection(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a client's nonsense does to its own connection is worth a line, not a traceback."""
    error = context.get("exception")
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, asyncio.CancelledError):
        return  # Python 3.11's streams report every connection that is cancelled as an error
    if "client_connected_cb" in context.get("message", ""):
        log.info("connection_failed", reason=str(error) or type(error).__name__)
    else:
        loop.default_exception_handler(context)
