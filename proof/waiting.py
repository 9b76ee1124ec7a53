"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

POLL_SECONDS = 0.02

T = TypeVar("T")
Errors = tuple[type[Exception], ...]


class TooLate(AssertionError):
    """The condition did not become true in time, which fails a test. `found` is the last answer or error."""

    def __init__(self, what: str, seconds: float, found: object) -> None:
        super().__init__(f"not within {seconds:g} s: {what}; last seen: {found!r}")
        self.found = found


def eventually(condition: Callable[[], T], *, within: float, saying: str = "", despite: Errors = ()) -> T:
    """Ask until the answer is true, and return it; an exception in `despite` means "not yet"."""
    deadline = time.monotonic() + within
    while True:
        found: object
        try:
            if answer := condition():
                return answer
            found = answer
        except despite as error:
            found = error
        if time.monotonic() > deadline:
            raise TooLate(saying or _name(condition), within, found)
        time.sleep(POLL_SECONDS)


async def eventually_async(
    condition: Callable[[], Awaitable[T]], *, within: float, saying: str = "", despite: Errors = ()
) -> T:
    """The same for a coroutine function, without holding up the event loop."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        found: object
        try:
            if answer := await condition():
                return answer
            found = answer
        except despite as error:
            found = error
        if loop.time() > deadline:
            raise TooLate(saying or _name(condition), within, found)
        await asyncio.sleep(POLL_SECONDS)


def _name(condition: Callable[..., object]) -> str:
    return getattr(condition, "__qualname__", repr(condition))
