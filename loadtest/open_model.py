"""The open model: votes arrive at their times, whatever the answers take. Pure.

A closed model waits for the answer before it sends the next vote, so that a system that stalls is asked less, and its
stall is measured once ("coordinated omission"). Here a vote has a time at which it is due, and it is measured from
then on: what it waited before it could be sent counts as well.
"""

from dataclasses import dataclass


@dataclass
class Schedule:
    """When votes are due: evenly, `per_second` of them."""

    per_second: float
    began: float
    given: int = 0

    def next_due(self) -> float:
        """The time of the next vote; never skips one, however late it is."""
        due = self.began + self.given / self.per_second
        self.given += 1
        return due


def corrected_seconds(*, due: float, answered: float) -> float:
    """How long a vote took for somebody who wanted to cast it when it was due."""
    return max(0.0, answered - due)
