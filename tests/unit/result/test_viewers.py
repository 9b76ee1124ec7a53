"""Viewers get the newest snapshot; a slow one misses those between and holds up nobody."""

import asyncio
from contextlib import ExitStack

import pytest
from hypercorn.typing import ASGISendEvent

from result.viewers import AT_A_TIME, Viewers
from tests.watchers import Watcher, watching


async def test_a_viewer_gets_the_newest_snapshot_at_once() -> None:
    viewers = Viewers()
    viewers.show("old")
    viewers.show("new")

    with watching(viewers) as viewer:
        assert viewer.seen == ["new"]


async def test_a_viewer_gets_every_snapshot_that_it_has_time_for() -> None:
    viewers = Viewers()
    with watching(viewers) as viewer:
        for number in range(5):
            viewers.show(str(number))
            await viewer.until(number + 1)

    assert viewer.seen == ["0", "1", "2", "3", "4"]


async def test_a_slow_viewer_misses_snapshots_but_never_the_newest_and_holds_up_nobody() -> None:
    viewers = Viewers()
    viewers.show("0")
    with watching(viewers) as slow, watching(viewers) as quick:
        slow.become_slow()
        for number in range(1, 1000):
            viewers.show(str(number))
            await quick.until(number + 1)
        assert slow.seen == ["0"]
        slow.become_quick()

        assert await slow.until(3) == ["0", "1", "999"]


async def test_all_of_many_viewers_get_the_newest_also_one_shown_while_they_are_told() -> None:
    viewers = Viewers()
    seen: list[str | None] = []
    all_have_it = asyncio.Event()

    async def send(message: ASGISendEvent) -> None:
        assert message["type"] == "websocket.send"
        seen.append(message["text"])
        if len(seen) == AT_A_TIME + 10:
            viewers.show("newer")
        if seen.count("newer") == 3 * AT_A_TIME:
            all_have_it.set()

    with ExitStack() as entered:
        for _ in range(3 * AT_A_TIME):
            entered.enter_context(viewers.watching(send))
        viewers.show("new")
        async with asyncio.timeout(20):
            await all_have_it.wait()

    assert set(seen) == {"new", "newer"}
    assert AT_A_TIME < seen.count("new") <= 3 * AT_A_TIME


async def test_a_viewer_who_comes_before_the_first_snapshot_waits_for_it() -> None:
    viewers = Viewers()
    with watching(viewers) as viewer:
        assert not viewer.seen
        viewers.show("first")

        assert await viewer.until(1) == ["first"]


async def test_a_viewer_who_left_is_sent_nothing_not_even_what_is_under_way() -> None:
    viewers = Viewers()
    with watching(viewers) as other:
        with watching(viewers) as viewer:
            viewer.become_slow()
            viewers.show("under way")
            await other.until(1)
        viewer.become_quick()
        viewers.show("later")
        await other.until(2)

        assert viewer.seen == []
        assert viewers.count() == 1


async def test_a_viewer_who_can_not_be_sent_anything_is_nobody_elses_trouble(
    capsys: pytest.CaptureFixture[str],
) -> None:
    viewers = Viewers()

    async def fail(message: ASGISendEvent) -> None:
        raise ValueError("told to fail")

    with viewers.watching(fail), watching(viewers) as viewer:
        viewers.show("shown")
        await viewer.until(1)
        viewers.show("shown again")

        assert await viewer.until(2) == ["shown", "shown again"]
    assert "told to fail" in capsys.readouterr().out


async def test_when_it_closes_every_viewer_has_to_go_and_so_does_one_who_comes_later() -> None:
    viewers = Viewers()
    with ExitStack() as entered:
        told = [entered.enter_context(viewers.watching(Watcher().send)) for _ in range(50)]
        assert not any(has_to_go.done() for has_to_go in told)

        async with asyncio.timeout(20):
            await viewers.close()
            await asyncio.gather(*told)

        assert entered.enter_context(viewers.watching(Watcher().send)).done()
