"""What Locust loads: the users, the shapes, and the hooks that start and end each test."""

import os

from loadtest.hooks import register
from loadtest.shapes import DoubleWave, FindTheLimit, Ramp, Soak, Spike, Steady, Steps
from loadtest.viewers import Prober, Viewer

if os.environ.get("MODEL") == "open":
    from loadtest.voters import Arrivals

    USERS: tuple[type, ...] = (Arrivals, Viewer, Prober)
else:
    from loadtest.abusers import Abuser
    from loadtest.voters import ApiVoter, Voter

    USERS = (Voter, ApiVoter, Viewer, Abuser, Prober)

# Locust finds classes by their names in this file; the tuples only tell linters that they are used.
SHAPES = (Steady, Ramp, Spike, DoubleWave, Steps, Soak, FindTheLimit)

register()
