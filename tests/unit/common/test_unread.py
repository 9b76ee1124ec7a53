"""A slip in the name of a setting is told, and what others have in the environment is left alone."""

import re

import pytest

from common.unread import unread
from tests.repository.tree import PROJECT


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in unread():
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OPTON_C", "did you mean OPTION_C?"),
        ("OPTION_AA", "OPTION_A to OPTION_Z"),
        ("OPTION_1", "OPTION_A to OPTION_Z"),
        ("OPTIONS", "OPTION_A to OPTION_Z"),
        ("option_c", "OPTION_C"),
        ("vote_port", "VOTE_PORT"),
        ("VOTEPORT", "VOTE_PORT"),
        ("VOTE_PROT", "VOTE_PORT"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("HOSTS", "HOST"),
        ("QUESTON", "QUESTION"),
        ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
        ("SECRETKEY_FILE", "SECRET_KEY_FILE"),
        ("LIMIT_PER_ADRESS", "LIMIT_PER_ADDRESS"),
        ("VOTER_CODE", "VOTER_CODES"),
        ("VOTE_PORT_FILE", "from files come only SECRET_KEY_FILE"),
        ("TLS_KEY_FILE", "from files come only SECRET_KEY_FILE"),
    ],
)
def test_a_near_miss_is_told_with_what_it_misses(bare: pytest.MonkeyPatch, name: str, meant: str) -> None:
    bare.setenv(name, "something")

    assert list(unread()) == [name]
    assert unread()[name].startswith(f"{name} is not read: ")
    assert meant in unread()[name]


@pytest.mark.parametrize(
    "names",
    [
        "HOSTNAME HOSTTYPE LOGNAME HOME PATH USER SHELL TERM LANG PWD MAIL EDITOR PORT PYTHONPATH DISPLAY",
        "XDG_DATA_DIRS XDG_DATA_HOME DBUS_SESSION_BUS_ADDRESS SSH_AUTH_SOCK MAKEFLAGS MAKELEVEL MFLAGS VIRTUAL_ENV",
        "DATABASE_URL_TEST TEST_DATABASE_URL POSTGRES_URL REDIS_PORT REDIS_PASSWORD SECRET LOG_FILE TLS_CERT",
        "VOTE_SERVICE_HOST VOTE_SERVICE_PORT VOTE_PORT_5000_TCP VOTE_PORT_5000_TCP_ADDR REDIS_SERVICE_HOST",
        "OTEL_EXPORTER_OTLP_HEADERS OTEL_SERVICE_NAME OTEL_EXPORTER_OTLP_PROTOCOL OTEL_EXPORTER_OTLP_TIMEOUT",
    ],
)
def test_what_others_set_is_nothing_to_talk_about(bare: pytest.MonkeyPatch, names: str) -> None:
    for name in names.split():
        bare.setenv(name, "something")

    assert unread() == {}


def test_what_our_own_commands_and_containers_read_is_no_near_miss(bare: pytest.MonkeyPatch) -> None:
    files = ("Makefile", ".env.example", "docker-compose.yml", "docker-compose.override.yml", "Tiltfile", "Dockerfile")
    text = "\n".join((PROJECT / file).read_text(encoding="utf-8") for file in files)
    names = set(re.findall(r"\b[A-Z][A-Z_]{2,}(?==)|\$[({]([A-Z][A-Z_]+)", text)) - {""}
    assert len(names) > 10
    for name in names:
        bare.setenv(name, "something")

    assert unread() == {}


def test_an_empty_variable_is_not_set(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("OPTON_C", " ")

    assert unread() == {}


def test_of_a_secret_that_is_set_twice_the_one_that_is_not_read_is_told(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("SECRET_KEY", "a key of our own, and long")
    bare.setenv("SECRET_KEY_FILE", "/run/secrets/key")
    bare.setenv("REDIS_URL_FILE", "/run/secrets/redis")
    bare.setenv("REDIS_HOST", "redis")

    assert unread() == {
        "SECRET_KEY_FILE": "SECRET_KEY_FILE is not read, because SECRET_KEY is set as well",
        "REDIS_HOST": "REDIS_HOST is not read, because REDIS_URL is set as well",
    }
