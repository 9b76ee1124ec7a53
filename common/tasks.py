"""Starting and ending tasks, and making up for what Python 3.11 lacks there."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any

CANCEL_SECONDS = 1.0  # from one attempt to the next


def begin(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run it at once up to its first wait, and the rest as a task; returns None, or raises, if it ends before that.

    Python 3.12 has eager tasks for this.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return asyncio.create_task(_rest(coroutine, awaited))


async def _rest(coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
    await _go_on(coroutine, awaited)


@types.coroutine
def _go_on(coroutine: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """What `yield from` does with a coroutine that has not started."""
    while True:
        try:
            yield awaited
        except BaseException as error:  # such as a cancellation
            step = partial(coroutine.throw, error)
        else:
            step = partial(coroutine.send, None)
        try:
            awaited = step()
        except StopIteration:
            return


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they have ended, because a single cancellation may be lost.

    Hypercorn ignores it while it starts. And before Python 3.12, `asyncio.wait_for`, which redis-py sends with,
    swallows a cancellation that arrives together with its result.
    """
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_SECONDS)


def raise_if_past(deadline: float) -> None:
    """Raise TimeoutError after a deadline of the event loop's clock, where a timer alone is not enough.

    After the process was paused, the timer fires after whatever else is due; and it acts by a cancellation, which may
    be lost before Python 3.12 (see `end`).
    """
    if asyncio.get_running_loop().time() >= deadline:
        raise TimeoutError
