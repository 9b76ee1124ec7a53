"""Which services an edit starts again."""

from pathlib import Path

import pytest

from local.reload import STAMP, concerned

PROJECT = Path("/project")


@pytest.mark.parametrize(
    ("edited", "services"),
    [
        ("vote/app.py", ("vote",)),
        ("worker/batch.py", ("worker",)),
        ("result/app.py", ("result",)),
        ("common/settings.py", ("vote", "worker", "result")),
        ("db/schema.sql", ("worker",)),
    ],
)
def test_an_edit_starts_the_services_again_that_run_the_file(edited: str, services: tuple[str, ...]) -> None:
    assert concerned(PROJECT, PROJECT / edited) == services


@pytest.mark.parametrize(
    "edited",
    [
        "vote/static/vote.css",
        "vote/templates/ballot.html",
        "common/templates/base.html",
        "result/static/chart.js",
        "vote/app.py~",
        "vote/__pycache__/app.pyc",
        "local/up.py",
        "a.py",
    ],
)
def test_an_edit_of_what_is_read_from_disk_or_not_run_starts_nothing_again(edited: str) -> None:
    assert concerned(PROJECT, PROJECT / edited) == ()


def test_a_file_outside_the_project_concerns_nobody() -> None:
    assert concerned(PROJECT, Path("/elsewhere/vote/app.py")) == ()


def test_new_packages_start_every_service_again() -> None:
    assert concerned(PROJECT, STAMP) == ("vote", "worker", "result")
