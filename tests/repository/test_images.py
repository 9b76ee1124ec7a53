"""Each image has the packages that its modules import: all of the service, and what else of the project they reach."""

import ast
import json
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions

import pytest

from tests.repository.test_environments import services, stages
from tests.repository.tree import PROJECT, SERVICES, imports, texts

IMAGES = (*SERVICES, "loadtest")
# A service that has no such package sends no traces (common/traces.py); whoever wants them installs them as well.
OPTIONAL = {"opentelemetry"}


@cache
def project() -> dict[str, ast.Module]:
    """Every module of the project by its name; a package has the name of its folder."""
    found = {}
    for path, text in texts():
        if path.suffix != ".py" or path.parts[0] in ("bench", "tests"):  # those are in no image that is used
            continue
        parts = path.with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = _for_running(ast.parse(text))
    return found


def reached(image: str) -> set[str]:
    """The modules of the project that an image can come to import."""
    todo = {name for name in project() if name == image or name.startswith(f"{image}.")} | _started(image)
    found: set[str] = set()
    while todo:
        name = todo.pop()
        found.add(name)
        for imported in imports(project()[name]):
            # `from package import name`: the name may be a module of it
            todo |= {one for one in (imported, imported.rpartition(".")[0]) if one in project()}
        todo -= found
    return found


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_every_folder_that_its_modules_are_in(image: str) -> None:
    copied = set(re.findall(r"^COPY (\w+) \./\1$", stages()["final"] + stages()[image], re.MULTILINE)) | {image}
    assert {name.partition(".")[0] for name in reached(image)} <= copied


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_every_package_that_its_modules_import(image: str) -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", (PROJECT / image / "requirements.txt").read_text(), re.MULTILINE))
    known = packages_distributions()
    missing = {
        f"{name} imports {package}"
        for name in reached(image)
        for package in {one.partition(".")[0] for one in imports(project()[name])} - set(sys.stdlib_module_names)
        if package not in {one.partition(".")[0] for one in project()} | OPTIONAL
        and not {_normal(distribution) for distribution in known.get(package, [])} & locked
    }
    assert not missing


def test_what_an_image_reaches_is_found() -> None:
    assert {"loadtest.audit", "common.vote_queue", "local.seed", "local.running", "common.probe"} <= reached("loadtest")
    assert {"vote.__main__", "common.settings", "common.probe"} <= reached("vote")
    assert not [name for name in reached("worker") if name.startswith(("vote.", "result."))]


def _started(image: str) -> set[str]:
    """What a container of this image starts besides the service: its health check, other commands in Compose."""
    here = [service for service in services().values() if service["image"] == f"tallyho-{image}"]
    texts = [stages()[image], *map(json.dumps, here)]
    return {name for text in texts for name in re.findall(r'"-m", "([\w.]+)"', text) if name in project()}


def _for_running(module: ast.Module) -> ast.Module:
    """The module without what only a type checker reads."""

    class Strip(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
            self.generic_visit(node)
            return node.orelse if ast.unparse(node.test) == "TYPE_CHECKING" else node

    stripped: ast.Module = Strip().visit(module)
    return stripped


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
