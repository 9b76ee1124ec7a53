"""The environments are one system: the same ports, options, programs and versions in every file that names them."""

import re
from collections import defaultdict
from functools import cache
from string import ascii_uppercase
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from common.settings import Settings
from tests.repository.test_settings import LINE
from tests.repository.tree import PROJECT, SERVICES

COMPOSE = ("docker-compose.yml", "docker-compose.override.yml")
PAGES = ("architecture", "commands", "environments", "hands-on", "operations", "testing")
WITH_ADDRESSES = ("README.md", "Makefile", "flake.nix", *(f"docs/{page}.md" for page in PAGES))
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-((?:[^${}]|\$\{[^{}]*\})*))?\}")
# an example in .env.example; for people who read the log; for people who put load on it
OTHERWISE_FOR_WORK = {"RESULT_PORTS", "VOTE_PORTS", "LOG_FORMAT", "LIMIT_PER_ADDRESS"}
# one does its work and ends; the others' master knows its workers, and loses those that fall silent
WITHOUT_HEALTH_CHECK = {"seed-data", "loadtest-worker"}


def text(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


@cache
def parsed(name: str) -> Any:
    """What is in a YAML file."""
    return yaml.safe_load(text(name))


def services(file: str = COMPOSE[0]) -> dict[str, dict[str, Any]]:
    """Each service of a compose file; by itself, of the one for use."""
    found: dict[str, dict[str, Any]] = parsed(file)["services"]
    return found


def passed_on() -> set[str]:
    """The variables without a value: what the environment or .env says, if they do."""
    environments = [service.get("environment", {}) for file in COMPOSE for service in services(file).values()]
    return {name for environment in environments for name, value in environment.items() if value is None}


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
    published = [address.rpartition(":")[2] for address in services()[service].get("ports", [])]
    assert published == ([] if service == "worker" else [port])


def test_every_address_on_this_machine_names_a_port_that_something_has_by_default() -> None:
    ports = {value for name, values in defaults().items() if name.endswith("_PORT") for value in values}
    ports |= {str(Settings.model_fields[f"{service}_port"].default) for service in SERVICES}
    found = {name: set(re.findall(r"localhost:(\d+)", text(name))) - ports for name in WITH_ADDRESSES}
    assert not {name: strange for name, strange in found.items() if strange}
    assert re.findall(r"localhost:(\d+)", text("README.md"))


def test_every_option_reaches_the_containers() -> None:
    for service in SERVICES:
        assert services()[service]["environment"].keys() >= {f"OPTION_{letter}" for letter in ascii_uppercase}


def test_an_image_is_named_after_its_service() -> None:
    built = {"seed-data": "tallyho-loadtest", "loadtest-worker": "tallyho-loadtest"}
    for name, service in services().items():
        if "build" in service:
            assert service["image"] == built.get(name, f"tallyho-{name}")
    for name in [*SERVICES, "loadtest"]:
        for_work = services(COMPOSE[1])[name]
        assert (for_work["image"], for_work["build"]) == (f"tallyho-{name}:dev", {"target": "dev"})
    assert re.findall(r"'(tallyho-[^']*)'", text("Tiltfile")) == ["tallyho-%s-tilt"] * 2


def test_one_version_of_each_program_runs_everywhere() -> None:
    python = re.findall(r"^FROM python:(\d+)\.(\d+)-slim AS", text("Dockerfile"), re.MULTILINE)
    [(major, minor)] = python
    assert set(re.findall(r"python(\d{3})\b", text("flake.nix"))) == {major + minor}
    [postgres] = re.findall(r"postgres:(\d+)-alpine", services()["db"]["image"])
    assert set(re.findall(r"postgresql_(\d+)", text("flake.nix"))) == {postgres}
    images = {service["image"] for file in COMPOSE for service in services(file).values()}
    images |= set(re.findall(r"^FROM (\S+:\S+)", text("Dockerfile"), re.MULTILINE))
    assert {image for image in images if not image.startswith(("tallyho-", "prom/", "grafana/"))} == {
        f"python:{major}.{minor}-slim",
        f"postgres:{postgres}-alpine",
        "redis:8-alpine",
        "debian:trixie-slim",
    }


@pytest.mark.parametrize("name", services())
def test_a_container_has_limits_a_restart_policy_and_a_health_check_or_a_reason(name: str) -> None:
    service = services()[name]
    assert re.fullmatch(r"\d+m", service["mem_limit"])
    assert service["restart"] in ("unless-stopped", "no")
    is_checked = "healthcheck" in service or "HEALTHCHECK" in stages().get(name, "")
    assert is_checked is (name not in WITHOUT_HEALTH_CHECK)


@pytest.mark.parametrize("name", services())
def test_a_port_is_published_on_loopback_unless_somebody_says_otherwise(name: str) -> None:
    ports = services()[name].get("ports", [])
    assert not [port for port in ports if not port.startswith(("127.0.0.1:", "${HOST:-127.0.0.1}:"))]


def test_the_example_lists_every_variable_of_the_environments() -> None:
    texts = "".join(map(text, COMPOSE))
    used = set(defaults()) | {name for name, _ in VARIABLE.findall(texts)} | passed_on()
    missing = used - set(example())
    assert not {name for name in missing if not re.fullmatch("OPTION_[A-Z]", name)}
