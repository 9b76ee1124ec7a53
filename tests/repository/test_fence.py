"""Who may know whom: the services know `common`, and nothing of each other."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from common import vote_queue
from tests.repository.tree import PRODUCT, PROJECT, SERVICES, imports, modules

# The keys in Redis; `votes` alone is also the name of a table.
KEYS = {vote_queue.COUNTED, vote_queue.REJECTED}
SETTINGS = {Path("common/settings.py"), Path("common/unread.py"), Path("common/systemd.py")}


def roots(module: ast.Module) -> set[str]:
    """The packages a module imports from."""
    return {name.partition(".")[0] for name in imports(module)}


def test_common_imports_no_service() -> None:
    forbidden = {*SERVICES, "local", "proof", "loadtest", "bench", "tests"}
    assert not {str(path): found for path, module in modules("common").items() if (found := roots(module) & forbidden)}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_no_other_program(service: str) -> None:
    forbidden = {*SERVICES, "local", "proof", "loadtest", "bench", "tests"} - {service}
    assert not {str(path): found for path, module in modules(service).items() if (found := roots(module) & forbidden)}


def test_no_program_imports_the_tests() -> None:
    programs = modules(*PRODUCT, "proof", "loadtest", "bench")
    assert not [str(path) for path, module in programs.items() if "tests" in roots(module)]


def test_the_proof_imports_none_of_those_who_use_it() -> None:
    users = {"loadtest", "bench", *SERVICES}
    assert not {str(path): found for path, module in modules("proof").items() if (found := roots(module) & users)}


def test_a_module_of_common_serves_two_programs_at_least() -> None:
    users = _users()
    lonely = {name: sorted(who) for name, who in users.items() if len(who) < 2}
    assert not lonely


def test_only_the_queue_knows_the_keys_in_redis() -> None:
    guilty = {
        str(path): key
        for path, module in modules(*PRODUCT).items()
        for key in KEYS & _strings(module)
        if path != Path("common/vote_queue.py")
    }
    assert not guilty


def test_only_the_settings_and_local_read_the_environment() -> None:
    guilty = [
        str(path)
        for path, module in modules(*PRODUCT).items()
        if path.parts[0] != "local" and path not in SETTINGS and _reads_environment(module)
    ]
    assert not guilty


def _users() -> dict[str, set[str]]:
    """The programs that use each module of common, also by way of another module of common or of their image."""
    direct = _run_by_images()
    common = {f"common.{path.stem}" for path in modules("common") if path.stem != "__init__"}
    for path, module in modules(*PRODUCT).items():
        who = path.parts[0] if path.parts[0] != "common" else f"common.{path.stem}"
        for name in imports(module):
            for target in common & {name, name.rpartition(".")[0]}:
                direct[target].add(who)
    return {name: _programs(name, direct, set()) for name in common}


def _run_by_images() -> defaultdict[str, set[str]]:
    """The modules of common that the images of the services run beside the service."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for stage in (PROJECT / "Dockerfile").read_text(encoding="utf-8").split("\nFROM base AS ")[1:]:
        for module in re.findall(r'"-m", "(common\.\w+)"', stage):
            found[module].add(stage.split()[0])
    return found


def _programs(name: str, direct: dict[str, set[str]], seen: set[str]) -> set[str]:
    found = set()
    for user in direct.get(name, set()) - seen:
        found |= _programs(user, direct, seen | {name}) if user.startswith("common.") else {user}
    return found


def _strings(module: ast.Module) -> set[str]:
    return {node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _reads_environment(module: ast.Module) -> bool:
    return bool({"os.environ", "os.getenv"} & imports(module)) or any(
        isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") for node in ast.walk(module)
    )
