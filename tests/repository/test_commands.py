"""The Makefile explains itself, and the documents speak of commands, files and functions that exist."""

import pydoc
import re
from pathlib import Path

import pytest

from tests.repository.tree import PROJECT, texts

TARGET = re.compile(r"^(?P<name>[a-z][a-z0-9-]*):(?!=)(?P<rest>.*)$", re.MULTILINE)
MENTIONED = re.compile(r"(?:^|`)make ([a-z][a-z0-9-]*)", re.MULTILINE)
LINK = re.compile(r"\]\((?P<target>[^)#\s]+)")


def targets() -> dict[str, str]:
    """The targets of the Makefile, each with the rest of its line."""
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    return {target["name"]: target["rest"] for target in TARGET.finditer(text)}


def documents() -> dict[Path, str]:
    return {path: text for path, text in texts() if path.suffix == ".md"}


def test_every_target_says_what_it_does() -> None:
    assert not [name for name, rest in targets().items() if name != "help" and not re.search(r" ## \w", rest)]


def test_every_target_is_phony() -> None:
    text = (PROJECT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    phony = set(" ".join(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)).split())
    assert targets().keys() <= phony


@pytest.mark.parametrize("path", documents(), ids=str)
def test_every_command_of_a_document_exists(path: Path) -> None:
    assert set(MENTIONED.findall(documents()[path])) <= targets().keys()


@pytest.mark.parametrize("path", documents(), ids=str)
def test_every_link_of_a_document_leads_somewhere(path: Path) -> None:
    links = [link["target"] for link in LINK.finditer(documents()[path])]
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert not [link for link in local if not (PROJECT / path.parent / link).exists()]


def test_every_function_on_the_path_of_a_vote_exists() -> None:
    section = (
        (PROJECT / "README.md").read_text(encoding="utf-8").split("\n## How a vote travels\n")[1].split("\n## ")[0]
    )
    names = re.findall(r"`((?:\w+\.){2,}\w+)`", section)
    assert len(names) == 10
    assert not [name for name in names if not callable(pydoc.locate(name))]


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text(encoding="utf-8").splitlines()) <= 180
