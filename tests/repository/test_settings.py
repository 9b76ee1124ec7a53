"""docs/settings.md and `.env.example` say what the code says about settings."""

import re

from common.settings import SECRETS, Settings
from local.settings_doc import DOCUMENT, EXAMPLE, OTHERS, document, example

LINE = re.compile(r"^#? ?(?P<name>[A-Z][A-Z_]*)=(?P<value>.*)$", re.MULTILINE)
ANEW = "make settings-doc writes it anew"


def test_the_table_of_settings_is_made_from_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == document(text), ANEW


def test_the_example_is_made_from_the_code() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text == example(text), ANEW


def test_the_table_has_a_row_for_every_setting() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    names = {name.upper() for name in Settings.model_fields} - {"OPTIONS"} | {"OPTION_A", "OPTION_Z"}
    files = {f"{name.upper()}_FILE" for name in SECRETS}
    rows = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    assert {name for name in names | files if f"`{name}`" in rows} == names | files


def test_the_example_is_understood_as_it_stands() -> None:
    """With every # removed."""
    ours = EXAMPLE.read_text(encoding="utf-8").split(OTHERS)[0]
    values = {line["name"].lower(): line["value"].strip() for line in LINE.finditer(ours) if line["value"].strip()}
    options = {name.removeprefix("option_"): values.pop(name) for name in list(values) if name.startswith("option_")}
    assert Settings.model_validate({**values, "options": options}) == Settings()


def test_every_setting_says_what_it_means() -> None:
    assert not [name for name, field in Settings.model_fields.items() if len(field.description or "") < 10]
