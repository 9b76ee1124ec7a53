"""Looks at the system before and after a run: `python -m loadtest.look before FOLDER`, then `after FOLDER`.

In a process of its own, because asyncio does not live beside Locust's gevent.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.errors import LoadTestError
from loadtest.settings import limits, target
from proof.audit import Baseline, audit
from proof.look import NOT_YET, Patience, look_after, look_before
from proof.register import read_register


def main(moment: str, folder: Path) -> None:
    """Look, and leave what was found in the run's folder."""
    began = time.monotonic()
    try:
        where, patience = target(), Patience(**limits()["audit"])
        if moment == "before":
            _write(folder / "before.json", asdict(asyncio.run(look_before(where, patience))))
            return
        baseline = Baseline(**json.loads((folder / "before.json").read_text()))
        found = asyncio.run(look_after(where, baseline, folder, patience))
        report = audit(read_register(folder), baseline, found, others_vote=bool(os.environ.get("OTHERS_VOTE")))
        _write(folder / "audit.json", report.as_json() | {"seconds": round(time.monotonic() - began, 1)})
    except (LoadTestError, *NOT_YET) as error:
        sys.exit(f"the audit could not look at the system: {error or type(error).__name__}")


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
