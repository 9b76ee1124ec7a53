"""Whether a worker has started, as its supervisor is told: one that fails keeps the one before it at work."""

from worker.counter import Status


async def test_a_worker_that_waits_for_its_servers_has_started() -> None:
    status = Status()
    status.waits(ConnectionError("refused"))

    assert status.started.is_set()


async def test_a_worker_that_fails_has_not_started_until_it_is_mended() -> None:
    status = Status()
    status.fails(NameError("votes"))
    assert not status.started.is_set()

    status.stands_by()
    assert status.started.is_set()
