"""Whether a server can be reached, for the metric of those that came back."""

from prometheus_client import Counter

RECONNECTS = Counter("reconnects", "Times that a server answered again after it had been lost.", ["server"])


class Reachable:
    """One server as one part of a service sees it. The first time that it answers is no reconnect."""

    def __init__(self, server: str) -> None:
        self._reconnects = RECONNECTS.labels(server)
        self._answered = False
        self._lost = False

    def answers(self) -> None:
        """It did what was asked."""
        if self._lost and self._answered:
            self._reconnects.inc()
        self._answered, self._lost = True, False

    def is_lost(self) -> None:
        """It did not answer."""
        self._lost = True
