"""Answers that leave in one piece: Hypercorn sends the head of an answer, its body and its end one by one."""

from typing import Any

import h11
import hypercorn.protocol
from hypercorn.events import RawData
from hypercorn.protocol.h11 import H11Protocol


class _Protocol(H11Protocol):
    """Hypercorn's HTTP/1, but the head of an answer waits for what follows it: one system call, and one packet."""

    _held = b""

    async def _send_h11_event(self, event: Any) -> None:
        try:
            self._held += self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        if self._held and not isinstance(event, h11.Response):
            held, self._held = self._held, b""
            await self.send(RawData(data=held))


def send_answers_whole() -> None:
    """Have Hypercorn use it."""
    hypercorn.protocol.H11Protocol = _Protocol  # type: ignore[attr-defined]
