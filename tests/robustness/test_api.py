"""Both APIs against their own descriptions: schemathesis makes requests from them, right ones and wrong ones."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.robustness.conftest import Services
from tests.robustness.figures import EXAMPLES, tried

# Not: a body that is right by its schema, of a type that the description does not name, is refused with 415; rightly.
WITHOUT = "positive_data_acceptance"


@pytest.mark.timeout(60 + EXAMPLES)
@pytest.mark.parametrize("name", ["vote", "result"])
def test_every_answer_is_one_that_the_description_names(services: Services, name: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{services.url_of(name)}/openapi.json"),
        *("--max-examples", str(EXAMPLES), "--exclude-checks", WITHOUT, "--no-color"),
        *("--report", "json", "--report-json-path", str(report)),
    ]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    tried(f"requests that schemathesis made from the description of {name}", requests_in(report))


def requests_in(report: Path) -> int:
    """How many requests were sent, by schemathesis' own report."""
    made: int = json.loads(report.read_text())["test_cases"]["generated"]
    assert made > 0
    return made
