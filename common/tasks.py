"""The end of tasks."""

import asyncio
from typing import Any

CANCEL_SECONDS = 1.0  # from one attempt to the next


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they have ended, because one cancellation may be lost.

    Hypercorn takes no notice of it while it starts, and before Python 3.12 `asyncio.wait_for`, which redis-py sends
    with, forgets it when what it waits for has just come.
    """
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_SECONDS)
