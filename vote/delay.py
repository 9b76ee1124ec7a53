"""Whether counting is delayed, for voters to know: asked of what is known already, never of Redis."""

from common.counting import DELAYED_SECONDS
from common.overview import Overview


def counting_is_delayed(overview: Overview | None) -> bool:
    """Whether accepted votes wait for too long; False also when nobody can know."""
    age = overview.oldest_seconds() if overview else None
    return age is not None and age > DELAYED_SECONDS
