"""What holds for all tests."""

from pathlib import Path

import hypothesis
from hypothesis.database import DirectoryBasedExampleDatabase

# no time limits: they would say more about the machine than about the code
hypothesis.settings.register_profile(
    "tallyho",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    database=DirectoryBasedExampleDatabase(Path(__file__).parent.parent / ".data" / "cache" / "hypothesis"),
)
hypothesis.settings.load_profile("tallyho")
