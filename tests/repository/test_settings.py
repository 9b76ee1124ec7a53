"""What can be set is the same in the code, in `.env.example` and in the README."""

import re
from collections.abc import Mapping

from common.settings import SECRETS, Settings
from tests.repository.tree import PROJECT

ROW = re.compile(r"^\| (?P<names>`[^|]*`) \| ?(?P<default>[^|]*?) ?\| (?P<meaning>.+) \|$", re.MULTILINE)
LINE = re.compile(r"^#? ?(?P<name>[A-Z][A-Z_]*)=(?P<value>.*)$", re.MULTILINE)
OPTIONS = "OPTION_A ... OPTION_Z"
# What follows in the example is no setting of ours; test_environments.py looks at it.
NOT_OURS = "\n# ---- Only for containers and Tilt ----\n"


def in_code() -> dict[str, str]:
    """Every setting with its default as text; the options are one."""
    defaults = {name.upper(): str(field.default) for name, field in Settings.model_fields.items()}
    defaults[OPTIONS] = ", ".join(Settings.model_fields["options"].default.values())
    del defaults["OPTIONS"]
    return defaults


def in_readme() -> Mapping[str, re.Match[str]]:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    section = text.split("\n## Settings\n", 1)[1].split("\n## ", 1)[0]
    return {_name(row["names"]): row for row in ROW.finditer(section)}


def in_example() -> dict[str, str]:
    text, mark, _ = (PROJECT / ".env.example").read_text(encoding="utf-8").partition(NOT_OURS)
    assert mark
    return {line["name"]: line["value"].strip() for line in LINE.finditer(text)}


def test_the_readme_lists_every_setting_and_no_other_with_its_default() -> None:
    assert {name: row["default"].strip("` ") for name, row in in_readme().items()} == in_code()


def test_the_example_lists_every_setting_and_no_other() -> None:
    names = {name if not re.fullmatch("OPTION_[A-Z]", name) else OPTIONS for name in in_example()}
    assert names - {f"{secret.upper()}_FILE" for secret in SECRETS} == set(in_code())


def test_the_example_shows_the_defaults() -> None:
    known = in_code()
    shown = {name: value.strip("\"'") for name, value in in_example().items() if known.get(name)}
    assert shown == {name: known[name] for name in shown}


def test_the_readme_says_of_each_secret_that_it_may_come_from_a_file() -> None:
    rows = in_readme()
    assert all(f"`{name.upper()}_FILE`" in rows[name.upper()]["meaning"] for name in SECRETS)


def test_the_example_is_understood_as_it_stands() -> None:
    values = {name.lower(): value.strip("\"'") for name, value in in_example().items() if value}
    fields = {name: value for name, value in values.items() if name in Settings.model_fields}
    assert Settings.model_validate(fields)


def _name(cell: str) -> str:
    names: list[str] = re.findall(r"`([A-Z_]+)`", cell)
    return OPTIONS if names == ["OPTION_A", "OPTION_Z"] else " ".join(names)
