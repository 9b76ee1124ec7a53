"""What Redis did not do. After a push it matters whether the votes may be in the queue all the same."""


class QueueUnavailable(Exception):
    """Redis did not do what was asked. After a push: the votes are in doubt, casting them again is safe."""


class NotPushed(QueueUnavailable):
    """The votes of a push are not in the queue, for certain, and will not get there."""


class QueueFull(NotPushed):
    """Redis has no memory left (`maxmemory`)."""


class QueueBroken(QueueUnavailable):
    """Redis has something else under the queue's keys: trying again does not help, somebody must mend it."""
