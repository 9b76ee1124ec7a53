"""What no file may say: where packages come from, and whose machine it was written on."""

import re
from pathlib import Path

import pytest

from tests.repository.tree import PROJECT, texts

# In pieces, so that this file does not say it either.
REGISTRIES = [
    "".join(pieces)
    for pieces in (
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("yarn", "pkg.com"),
        ("crates", ".io"),
        ("ruby", "gems.org"),
        ("ana", "conda.org"),
        ("proxy.gol", "ang.org"),
        ("--index", "-url"),
        ("--extra", "-index-url"),
        ("--find", "-links"),
    )
]
HOMES = re.compile(r"(?<![\w.~-])/(home/[a-z]|Users/[A-Za-z]|ro" + r"ot/|wo" + r"rk/)")

REQUIREMENTS = sorted(path.relative_to(PROJECT) for path in PROJECT.glob("*/requirements*.txt"))
REQUIREMENTS += sorted(path.relative_to(PROJECT) for path in PROJECT.glob("requirements*.txt"))


def test_no_file_names_a_package_registry() -> None:
    assert not [(str(path), word) for path, text in texts() for word in REGISTRIES if word in text.lower()]


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    assert not [(str(path), found[0]) for path, text in texts() if (found := HOMES.search(text))]


@pytest.mark.parametrize("path", REQUIREMENTS, ids=str)
def test_every_requirement_is_pinned_and_hashed(path: Path) -> None:
    text = (PROJECT / path).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    pinned = re.compile(
        r"[a-zA-Z0-9._-]+(\[[a-z0-9,_-]+\])?==[^ ]+ (; [^-]*(?:-[^-][^-]*)*)?( *--hash=sha256:[0-9a-f]{64})+ *"
    )
    assert lines
    assert not [line[:80] for line in lines if not pinned.fullmatch(line)]


def test_no_page_loads_anything_from_elsewhere() -> None:
    address = re.compile(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9-]+\.[a-z]", re.IGNORECASE)
    pages = {path: text for path, text in texts() if {"templates", "static"} & set(path.parts)}
    assert pages
    assert not [(str(path), found[0]) for path, text in pages.items() if (found := address.search(text))]
