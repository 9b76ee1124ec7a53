"""The beginning and the end of tasks."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any

CANCEL_SECONDS = 1.0  # from one attempt to the next


def begin(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run it up to where it has to wait; a task does the rest, None if there is none. Raises what it raises until then.

    Python 3.12 has the same as eager tasks.
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
    """What `yield from` does with one that has not begun."""
    while True:
        try:
            yield awaited
        except BaseException as error:  # a cancellation, for one
            step = partial(coroutine.throw, error)
        else:
            step = partial(coroutine.send, None)
        try:
            awaited = step()
        except StopIteration:
            return


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they have ended, because one cancellation may be lost.

    Hypercorn takes no notice of it while it starts, and before Python 3.12 `asyncio.wait_for`, which redis-py sends
    with, forgets it when what it waits for has just come.
    """
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_SECONDS)
