"""docs/settings.md and the first part of `.env.example`, generated from the fields of `Settings`.

`python -m local.settings_doc` writes both; a test holds them against the code.
"""

import re
import textwrap
from pathlib import Path

from pydantic.fields import FieldInfo

from common.settings import SECRETS, Settings
from local.environment import PROJECT

DOCUMENT = PROJECT / "docs" / "settings.md"
EXAMPLE = PROJECT / ".env.example"
# The table stands between these two lines.
BEGIN, END = "<!-- made by `make settings-doc` from common/settings.py -->\n", "<!-- end -->\n"
# What follows in the example is written by hand: containers and Tilt read it, and none of our services does.
OTHERS = "# ---- Only for containers and Tilt ----\n"

HEAD = """\
# Settings for `make up` and its sister commands: copy this file to .env, and remove the # where you want another value.
# What is set in the environment goes before what is here. Down to the line "Only for containers and Tilt" this file is
# made by `make settings-doc` from common/settings.py: don't edit it here.
"""


def document(text: str) -> str:
    """docs/settings.md with the table generated anew."""
    before, rest = text.split(BEGIN)
    after = rest.split(END, 1)[1]
    rows = [f"| {_names(name)} | {_default(field)} | {_meaning(name, field)} |" for name, field in _fields()]
    rows = [
        re.sub(r"\]\((?!\w+:)", "](../", row) for row in rows
    ]  # the links of `Settings` begin at the project's folder
    return "\n".join([f"{before}{BEGIN}", "| name | default | meaning |", "|---|---|---|", *rows, "", f"{END}{after}"])


def example(text: str) -> str:
    """`.env.example` with everything above the others' part made anew."""
    others = text.split(OTHERS)[1]
    return "\n".join([HEAD, *(_lines(name, field) for name, field in _fields()), f"{OTHERS}{others}"])


def _fields() -> list[tuple[str, FieldInfo]]:
    return list(Settings.model_fields.items())


def _names(name: str) -> str:
    return "`OPTION_A` … `OPTION_Z`" if name == "options" else f"`{name.upper()}`"


def _default(field: FieldInfo) -> str:
    match field.default:
        case dict() as labels:
            return ", ".join(labels.values())
        case bool() as answer:
            return str(int(answer))
        case other:
            return str(other)


def _meaning(name: str, field: FieldInfo) -> str:
    from_file = f"; also as `{name.upper()}_FILE`" if name in SECRETS else ""
    return f"{field.description}{from_file}"


def _lines(name: str, field: FieldInfo) -> str:
    """The setting as it is typed, below what it means in plain text."""
    meaning = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", _meaning(name, field))
    # a value stays as it is typed
    sentence = meaning if meaning.startswith("`") else f"{meaning[0].upper()}{meaning[1:]}"
    comment = textwrap.fill(f"{sentence.replace('`', '')}.", 120, initial_indent="# ", subsequent_indent="# ")
    values = {name: _default(field)}
    if isinstance(field.default, dict):
        values = {f"option_{key}": label for key, label in field.default.items()}
    return "\n".join([comment, *(f"#{variable.upper()}={value}" for variable, value in values.items()), ""])


def write(document_file: Path = DOCUMENT, example_file: Path = EXAMPLE) -> None:
    """Write both."""
    for path, made in ((document_file, document), (example_file, example)):
        path.write_text(made(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
