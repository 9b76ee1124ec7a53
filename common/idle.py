"""Connections that nobody uses end after a while: by a timer, not by two tasks made and cancelled for each request."""

import asyncio
from typing import Any

import hypercorn.asyncio.run
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Event, Updated


class _Server(TCPServer):
    """Hypercorn's connection. When the service stops, idle ones end with the server, not each by itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None

    async def protocol_send(self, event: Event) -> None:
        if not isinstance(event, Updated):
            await super().protocol_send(event)
        elif event.idle:
            self._stop_timer()
            self._timer = self.loop.call_later(self.config.keep_alive_timeout, self._is_over)
        else:
            self._stop_timer()
            await self.idle_task.stop()  # that of the time before the first request

    async def _close(self) -> None:
        self._stop_timer()
        await super()._close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_over(self) -> None:
        self._task_group.spawn(self._initiate_server_close)


def end_idle_connections_by_timers() -> None:
    """Have Hypercorn use it."""
    hypercorn.asyncio.run.TCPServer = _Server  # type: ignore[attr-defined]
