"""What the express lane tells the application of a vote that it has begun with: whose it is, and what went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from hypercorn.typing import HTTPScope

from vote.voter import Voter

KEY = "tallyho.handover"


@dataclass(frozen=True, slots=True)
class Handover:
    """A vote that was counted at the door, and then not accepted."""

    voter: Voter
    error: Exception


def hand_over(scope: HTTPScope, handover: Handover) -> None:
    """Note it in the request's scope."""
    cast(dict[str, Any], scope)[KEY] = handover


def handed_over(scope: Mapping[str, Any]) -> Handover | None:
    """What was noted, if anything."""
    return cast("Handover | None", scope.get(KEY))
