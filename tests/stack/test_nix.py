"""The flake: its shell has everything, its system counts votes, its checks notice what is broken."""

import json
import platform
import re
import signal
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from local.probe import LONGEST_PATH
from tests.repository.tree import PRODUCT, PROJECT, imports, modules
from tests.stack.flake import Flake, copy_of_the_project, nix_program
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(900)

PROGRAMS = {"python3", "uv", "postgres", "initdb", "psql", "redis-server", "redis-cli", "tilt", "docker"}
PROGRAMS |= {"docker-compose", "make", "git", "curl", "ps", "ab"}
PROGRAMS |= {"chromium"} if platform.system() == "Linux" else set()
CHECKED = (Path("tests/unit"), Path("tests/repository"))
# Who sends no traces has no package for it, and these tests send none.
OPTIONAL = {"opentelemetry"}


@pytest.fixture(scope="module")
def flake(tmp_path_factory: pytest.TempPathFactory) -> Flake:
    nix = nix_program()
    if nix is None:
        pytest.skip("no nix on PATH")
    return Flake(nix, copy_of_the_project(tmp_path_factory.mktemp("nix")))


@pytest.fixture
def another(flake: Flake, tmp_path: Path) -> Flake:
    """A second checkout, to break."""
    return Flake(flake.nix, copy_of_the_project(tmp_path))


def test_the_lock_file_pins_nixpkgs_and_nothing_else() -> None:
    lock = json.loads((PROJECT / "flake.lock").read_text(encoding="utf-8"))
    assert set(lock["nodes"]) == {"root", "nixpkgs"}
    locked = lock["nodes"]["nixpkgs"]["locked"]
    assert (locked["type"], locked["owner"], locked["repo"]) == ("github", "NixOS", "nixpkgs")
    assert re.fullmatch(r"[0-9a-f]{40}", locked["rev"])
    assert re.fullmatch(r"sha256-[A-Za-z0-9+/]{43}=", locked["narHash"])
    original = lock["nodes"]["nixpkgs"]["original"]
    address = f'"github:{original["owner"]}/{original["repo"]}/{original["ref"]}"'
    assert f"inputs.nixpkgs.url = {address};" in (PROJECT / "flake.nix").read_text(encoding="utf-8")


def test_the_flake_lists_every_package_that_its_checks_import() -> None:
    checked = {path: module for path, module in modules("tests").items() if _is_checked(path)} | modules(*PRODUCT)
    roots = {name.partition(".")[0] for module in checked.values() for name in imports(module)}
    known = packages_distributions()
    needed = {_normal(known[root][0]) for root in roots - sys.stdlib_module_names - OPTIONAL if root in known}
    listed = re.search(
        r"withPackages \(packages: with packages; \[(.*?)\]\)", (PROJECT / "flake.nix").read_text(), re.S
    )
    assert listed
    assert needed <= set(listed[1].split())


def test_the_shell_has_every_program_from_nix(flake: Flake) -> None:
    look = 'for program in "$@"; do command -v "$program"; done'
    found = flake.in_shell("sh", "-c", look, "sh", *PROGRAMS).split()
    assert {Path(path).name for path in found} == PROGRAMS
    assert not [path for path in found if not path.startswith("/nix/store/")]


def test_the_shell_says_in_three_lines_what_to_type_but_not_to_a_command(flake: Flake) -> None:
    assert flake.in_shell("true") == ""
    shown = flake.at_a_terminal("develop", typed="exit\n")
    assert re.findall(r"^(make up|tilt up|make test)  ", shown, re.M) == ["make up", "tilt up", "make test"]


def test_the_unit_tests_pass_in_the_shell_on_its_own_python(flake: Flake) -> None:
    assert re.search(r"\d+ passed", flake.in_shell("make", "test-unit"))
    assert not (flake.folder / ".venv").exists()
    used = flake.in_shell("sh", "-c", '"$VENV/bin/python" -c "import sys; print(sys._base_executable)"; echo $PYTHON')
    ours, nixs = (Path(line).resolve() for line in used.split())
    assert ours == nixs


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_run_starts_the_system_and_a_signal_ends_it(flake: Flake, tmp_path: Path, how: signal.Signals) -> None:
    with flake.up(tmp_path / "data", "run") as up:
        up.cast("a")
        eventually(lambda: up.total() == 1, within=40)
        up.end(how)
        assert "tallyho  | stopped" in up.log()


def test_run_takes_settings_and_finds_the_checkout_from_a_folder_in_it(flake: Flake, tmp_path: Path) -> None:
    within = Flake(flake.nix, flake.folder / "docs")
    data = tmp_path / "given"
    with within.up(tmp_path / "data", "run", f"path:{flake.folder}", "--", f"DATA_DIR={data}") as up:
        up.cast("b")
        assert (data / "redis").is_dir()


def test_run_outside_of_a_checkout_says_what_to_do(flake: Flake, tmp_path: Path) -> None:
    code, output, errors = flake.run("run", f"path:{flake.folder}", cwd=tmp_path)
    assert (code, output) == (1, "")
    assert errors.endswith(f"there is no tallyho in {tmp_path}: clone it, and type nix run in its folder\n")


def test_the_sockets_stay_short_in_a_deep_folder_and_other_shells_find_them(flake: Flake, tmp_path: Path) -> None:
    deep = tmp_path / "/".join(["a-folder-with-a-long-name"] * 6)
    (deep / "tmp").mkdir(parents=True)
    here = Flake(flake.nix, copy_of_the_project(deep / "tallyho"))
    data = here.folder / ".data"
    assert len(str(data)) > LONGEST_PATH
    shared = f"VENV={flake.folder / '.data' / 'nix-venv'}"
    with here.up(data, "develop", "-c", "make", "up", shared, TMPDIR=str(deep / "tmp")) as up:
        up.cast("a")
        eventually(lambda: up.total() == 1, within=40)
        query = "SELECT votes FROM tallies WHERE vote = 'a'"
        arguments = f'ARGS=-At -c "{query}"'
        assert here.in_shell("make", "psql", shared, f"DATA_DIR={data}", arguments) == "1\n"


def test_flake_check_passes(flake: Flake) -> None:
    code, _, errors = flake.run("flake", "check")
    assert code == 0, errors


@pytest.mark.parametrize(
    ("file", "line", "check"),
    [
        ("common/ballot.py", "import sys", "tallyho-lint"),
        ("common/ballot.py", "broken   = 1", "tallyho-lint"),
        ("tests/unit/worker/test_batch.py", "def test_broken() -> None:\n    raise AssertionError", "tallyho-unit"),
    ],
    ids=["lint", "format", "unit"],
)
def test_flake_check_fails_when_something_is_wrong(another: Flake, file: str, line: str, check: str) -> None:
    with (another.folder / file).open("a", encoding="utf-8") as appended:
        appended.write(f"\n\n{line}\n")
    code, _, errors = another.run("flake", "check")
    assert code != 0
    assert re.search(rf"builder for '[^']*-{check}\.drv' failed", errors), errors


def _is_checked(path: Path) -> bool:
    return path.parent == Path("tests") or any(path.is_relative_to(folder) for folder in CHECKED)


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
