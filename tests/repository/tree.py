"""The project's files, as the tests of this folder see them."""

import ast
import subprocess
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
SERVICES = ("vote", "worker", "result")
PRODUCT = ("common", *SERVICES, "local")


def project_files() -> list[Path]:
    """Every file that is in git or will be; where there is no git, every file outside hidden folders."""
    command = ["git", "-c", f"safe.directory={PROJECT}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        paths = [path for path in PROJECT.rglob("*") if not _is_hidden(path)]
    else:
        paths = [PROJECT / name for name in done.stdout.split("\0") if name]
    return sorted(path for path in paths if path.is_file())


@cache
def texts() -> list[tuple[Path, str]]:
    """Every file that is text, with its path from the project's folder."""
    found = []
    for path in project_files():
        try:
            found.append((path.relative_to(PROJECT), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:  # a picture
            continue
    return found


def modules(*folders: str) -> dict[Path, ast.Module]:
    """The Python files of these folders (of all, if none is named), parsed."""
    return {path: module for path, module in _all_modules().items() if not folders or path.parts[0] in folders}


@cache
def _all_modules() -> dict[Path, ast.Module]:
    return {path: ast.parse(text) for path, text in texts() if path.suffix == ".py"}


@cache
def imports(module: ast.Module) -> set[str]:
    """The full names of what a module imports, wherever in it."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _is_hidden(path: Path) -> bool:
    hidden = {part for part in path.relative_to(PROJECT).parts if part.startswith(".")}
    return bool(hidden - {".ci", ".env.example", ".gitignore", ".github"}) or "__pycache__" in path.parts
