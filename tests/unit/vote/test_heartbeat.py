"""How votes fared is what voters were told."""

from quart import Quart

from tests.fakes import FakeVoteQueue
from vote.heartbeat import vote_totals


async def test_each_vote_is_accepted_refused_or_to_be_cast_again(app: Quart, queue: FakeVoteQueue) -> None:
    """By form and as JSON, on every way through the service; looking at the ballot is no vote."""
    before = vote_totals()

    async def cast(vote: str) -> None:
        await app.test_client().post("/", form={"vote": vote})
        await app.test_client().post("/api/votes", json={"vote": vote})
        await app.test_client().get("/")

    await cast("a")
    await cast("a")
    await cast("nobody's option")
    queue.refusing = True
    await cast("a")

    assert tuple(now - then for now, then in zip(vote_totals(), before, strict=True)) == (4, 2, 2)
