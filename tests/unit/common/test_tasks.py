"""What is begun runs at once, and a task only does what is left of it."""

import asyncio

import pytest

from common.tasks import begin

pytestmark = pytest.mark.platform


async def test_what_does_not_wait_needs_no_task() -> None:
    done = []

    async def work() -> None:
        done.append(1)

    assert begin(work()) is None
    assert done == [1]


async def test_a_task_does_the_rest_through_every_wait() -> None:
    done: list[object] = []
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()

    async def work() -> None:
        done.append("began")
        done.append(await first)
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            done.append(await second)

    rest = begin(work())
    assert done == ["began"]
    first.set_result("came")
    loop.call_soon(loop.call_soon, second.set_result, "came later")
    assert rest is not None
    await rest

    assert done == ["began", "came", "came later"]


async def test_a_cancellation_ends_it_where_it_waits() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(1)

    rest = begin(work())
    assert rest is not None
    await asyncio.sleep(0)
    rest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rest
    assert ended == [1]


async def test_what_it_waits_for_may_fail_and_be_caught() -> None:
    caught = []
    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            await failing
        except ValueError as error:
            caught.append(str(error))

    rest = begin(work())
    failing.set_exception(ValueError("told to fail"))
    assert rest is not None
    await rest
    assert caught == ["told to fail"]


async def test_an_error_before_the_first_wait_is_raised_at_once_and_a_later_one_by_the_task() -> None:
    async def fail(pause: bool) -> None:
        if pause:
            await asyncio.sleep(0)
        raise ValueError("told to fail")

    with pytest.raises(ValueError, match="told to fail"):
        begin(fail(False))
    rest = begin(fail(True))
    assert rest is not None
    with pytest.raises(ValueError, match="told to fail"):
        await rest
