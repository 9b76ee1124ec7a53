"""An edit of a template is noticed, once."""

from pathlib import Path

from tests.waiting import eventually
from vote.edits import FOLDERS, LOOK_SECONDS, TemplateEdits


def test_an_edited_added_or_removed_template_is_noticed_once(tmp_path: Path) -> None:
    template = tmp_path / "page.html"
    template.write_text("before")
    edits = TemplateEdits([tmp_path])
    for change in (
        lambda: template.write_text("after"),
        lambda: (tmp_path / "another.html").write_text("x"),
        template.unlink,
    ):
        change()
        eventually(edits.happened, within=5 + 100 * LOOK_SECONDS)
        assert not edits.happened()


def test_all_templates_of_the_ballot_are_looked_at() -> None:
    assert {path.name for folder in FOLDERS for path in folder.glob("*.html")} >= {"ballot.html", "base.html"}
