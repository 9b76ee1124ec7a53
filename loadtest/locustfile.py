"""What Locust loads: who comes, in which shapes, and what hangs on a test. The parts are in their own files."""

import os

from loadtest.shapes import DoubleWave, FindTheLimit, Ramp, Soak, Spike, Steady, Steps
from loadtest.users.viewer import Prober, Viewer
from loadtest.wiring import wire

if os.environ.get("MODEL") == "open":
    from loadtest.users.arrivals import Arrivals

    USERS: tuple[type, ...] = (Arrivals, Viewer, Prober)
else:
    from loadtest.users.abuser import Abuser
    from loadtest.users.api_voter import ApiVoter
    from loadtest.users.voter import Voter

    USERS = (Voter, ApiVoter, Viewer, Abuser, Prober)

# Locust takes every class in this file's names; these are only so that nobody takes them for unused.
SHAPES = (Steady, Ramp, Spike, DoubleWave, Steps, Soak, FindTheLimit)

wire()
