"""A template that was edited is read anew, also where its time of modification tells nothing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from quart import Quart

from common.web import TEMPLATES_SECONDS, Templates
from tests.waiting import eventually


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text("before")
    return Quart("edited", root_path=str(tmp_path))


def test_an_edited_added_or_removed_template_makes_one_new_version(app: Quart) -> None:
    page = Path(app.root_path) / "templates" / "page.html"
    templates = Templates(app)
    changes: list[Callable[[], object]] = [
        lambda: page.write_text("after"),
        lambda: page.with_name("another.html").write_text("x"),
        page.unlink,
    ]
    for number, change in enumerate(changes, start=1):
        change()
        eventually(lambda: templates.version() == number, within=5 + 100 * TEMPLATES_SECONDS)  # noqa: B023
    assert templates.version() == len(changes)


async def test_an_edit_within_the_same_second_and_of_the_same_size_shows(app: Quart) -> None:
    """Tilt copies a file with whole seconds for its time."""
    page = Path(app.root_path) / "templates" / "page.html"
    os.utime(page, (1_800_000_000, 1_800_000_000))
    templates = Templates(app)
    template = app.jinja_env.get_template("page.html")
    assert await template.render_async() == "before"
    page.write_text("behind")
    os.utime(page, (1_800_000_000, 1_800_000_000))
    eventually(templates.version, within=5)
    assert await app.jinja_env.get_template("page.html").render_async() == "behind"
