"""The environments are one system: the same ports, options, programs and versions in every file that names them."""

import re
from collections import defaultdict
from string import ascii_uppercase

import pytest

from common.settings import Settings
from tests.repository.test_settings import LINE
from tests.repository.tree import PROJECT, SERVICES

COMPOSE = ("docker-compose.yml", "docker-compose.override.yml")
WITH_ADDRESSES = ("README.md", "Makefile", "flake.nix", "docs/commands.md", "docs/architecture.md")
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-((?:[^${}]|\$\{[^{}]*\})*))?\}")
# `NAME:` without a value: what the environment or .env says, if they do
PASSED_ON = re.compile(r"(?:^ +|[{,]\s*)([A-Z][A-Z_]*): *(?=$|[,}])", re.MULTILINE)
SHARED = "*service"
# an example in .env.example; for people who read the log; for people who put load on it
OTHERWISE_FOR_WORK = {"RESULT_PORTS", "VOTE_PORTS", "LOG_FORMAT", "LIMIT_PER_ADDRESS"}


def text(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def services() -> dict[str, str]:
    """The text of each service in the file for use; what it shares with the others is part of it."""
    head, _, rest = text(COMPOSE[0]).partition("\nservices:\n")
    shared = head.split("x-service:", 1)[1].split("\n\n", 1)[0]
    blocks = re.split(r"^  ([a-z-]+):\n", rest.split("\nnetworks:\n", 1)[0], flags=re.MULTILINE)
    return {
        name: block + (shared if SHARED in block else "")
        for name, block in zip(blocks[1::2], blocks[2::2], strict=True)
    }


def stages() -> dict[str, str]:
    """The text of each stage of the Dockerfile."""
    blocks = re.split(r"^FROM (\S+) AS (\S+)\n", text("Dockerfile"), flags=re.MULTILINE)
    return dict(zip(blocks[2::3], blocks[3::3], strict=True))


def defaults() -> dict[str, set[str]]:
    """Every default of a variable that the environments name."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file in COMPOSE:
        for name, default in VARIABLE.findall(text(file)):
            nested = VARIABLE.fullmatch(default)
            found[nested[1] if nested else name].add(nested[2] if nested else default)
            if nested:
                found[name].add(default)
    for name, default in re.findall(r"setting\('([A-Z_]+)', '([^']*)'\)", text("Tiltfile")):
        found[name].add(default)
    return found


def example() -> dict[str, str]:
    return {line["name"]: line["value"] for line in LINE.finditer(text(".env.example"))}


def test_the_services_are_those_of_the_code_in_every_environment() -> None:
    assert set(SERVICES) < set(services())
    assert set(SERVICES) < set(stages())
    assert f"SERVICES = {list(SERVICES)!r}" in text("Tiltfile")


def test_a_variable_has_the_same_default_everywhere() -> None:
    known = defaults()
    for name, default in example().items():
        if default and name in known and name not in OTHERWISE_FOR_WORK:
            known[name].add(default)
    for name in ("HOST", "VOTE_PORT", "RESULT_PORT", "WORKER_PORT"):
        known[name].add(str(Settings.model_fields[name.lower()].default))
    assert {"VOTE_PORT", "RESULT_PORT", "REDIS_PORT", "DB_PORT", "LOADTEST_PORT", "SECRETS_DIR"} <= set(known)
    assert not {name: values for name, values in known.items() if len(values) > 1}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_listens_on_its_default_port_in_its_container(service: str) -> None:
    port = str(Settings.model_fields[f"{service}_port"].default)
    assert re.findall(r"^EXPOSE (\d+)$", stages()[service], re.MULTILINE) == [port]
    assert re.findall(r'"common.probe", "(\d+)"', stages()[service]) == [port]
    published = re.findall(r":(\d+)\"\]", services()[service])
    assert published == ([] if service == "worker" else [port])


def test_every_address_on_this_machine_names_a_port_that_something_has_by_default() -> None:
    ports = {value for name, values in defaults().items() if name.endswith("_PORT") for value in values}
    ports |= {str(Settings.model_fields[f"{service}_port"].default) for service in SERVICES}
    found = {name: set(re.findall(r"localhost:(\d+)", text(name))) - ports for name in WITH_ADDRESSES}
    assert not {name: strange for name, strange in found.items() if strange}
    assert re.findall(r"localhost:(\d+)", text("README.md"))


def test_every_option_reaches_the_containers() -> None:
    assert set(PASSED_ON.findall(text(COMPOSE[0]))) >= {f"OPTION_{letter}" for letter in ascii_uppercase}


def test_an_image_is_named_after_its_service() -> None:
    built = {"seed-data": "tallyho-loadtest", "loadtest-worker": "tallyho-loadtest"}
    for name, block in services().items():
        if "build:" in block:
            assert f"\n    image: {built.get(name, f'tallyho-{name}')}\n" in "\n" + block
    for name in [*SERVICES, "loadtest"]:
        assert f"  {name}:\n    image: tallyho-{name}:dev\n    build: {{ target: dev }}\n" in text(COMPOSE[1])
    assert re.findall(r"'(tallyho-[^']*)'", text("Tiltfile")) == ["tallyho-%s-tilt"] * 2


def test_one_version_of_each_program_runs_everywhere() -> None:
    python = re.findall(r"^FROM python:(\d+)\.(\d+)-slim AS", text("Dockerfile"), re.MULTILINE)
    [(major, minor)] = python
    assert set(re.findall(r"python(\d{3})\b", text("flake.nix"))) == {major + minor}
    assert set(re.findall(r"python(\d\.\d+)", text(".ci/run"))) == {f"{major}.{minor}"}
    [postgres] = re.findall(r"image: postgres:(\d+)-alpine", text(COMPOSE[0]))
    assert set(re.findall(r"postgresql_(\d+)", text("flake.nix"))) == {postgres}
    recipes = "".join(map(text, (*COMPOSE, "Dockerfile")))
    named = re.findall(r"(?:image: |^FROM )((?:python|postgres|redis|debian):\S+)", recipes, re.MULTILINE)
    assert {name.partition(":")[0]: name for name in named} == {
        "python": f"python:{major}.{minor}-slim",
        "postgres": f"postgres:{postgres}-alpine",
        "redis": "redis:8-alpine",
        "debian": "debian:trixie-slim",
    }
    assert len(set(named)) == 4


@pytest.mark.parametrize("name", services())
def test_a_container_has_limits_a_restart_policy_and_a_health_check_or_a_reason(name: str) -> None:
    block = services()[name]
    assert re.search(r"^    mem_limit: \d+m$", block, re.MULTILINE)
    assert re.search(r'restart: (?:unless-stopped|"no")$', block, re.MULTILINE)
    of_image = "HEALTHCHECK" in stages().get(name, "")
    assert of_image or "\n    healthcheck:\n" in block or "# no health check: " in block


@pytest.mark.parametrize("name", services())
def test_a_port_is_published_on_loopback_unless_somebody_says_otherwise(name: str) -> None:
    ports = re.findall(r"^    ports: \[(.*)\]$", services()[name], re.MULTILINE)
    assert len(ports) == services()[name].count("ports:")
    listed = [port for line in ports for port in re.findall(r'"([^"]+)"', line)]
    assert not [port for port in listed if not port.startswith(("127.0.0.1:", "${HOST:-127.0.0.1}:"))]


def test_the_example_lists_every_variable_of_the_environments() -> None:
    texts = "".join(map(text, COMPOSE))
    used = set(defaults()) | {name for name, _ in VARIABLE.findall(texts)} | set(PASSED_ON.findall(texts))
    missing = used - set(example())
    assert not {name for name in missing if not re.fullmatch("OPTION_[A-Z]", name)}
