"""Settings come from the environment, and a typo in the name of one is reported."""

import re
from pathlib import Path

import pytest

from common.ballot import KEYS
from common.settings import Settings, SettingsError, ignored_variables
from tests.repository.tree import PROJECT


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name.upper() for name in Settings.model_fields] + [f"OPTION_{key.upper()}" for key in KEYS]
    for name in names:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def test_nothing_needs_to_be_set() -> None:
    settings = Settings.from_env()

    assert settings.vote_port == 5000
    assert settings.ballot.question == "Cats or Dogs?"
    assert settings.redis_address == "redis://localhost:6379"


def test_options_are_in_the_order_of_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTION_Z", "Zebras")
    monkeypatch.setenv("OPTION_C", "Birds")

    ballot = Settings.from_env().ballot

    assert [(option.key, option.label) for option in ballot.options] == [
        ("a", "Cats"),
        ("b", "Dogs"),
        ("c", "Birds"),
        ("z", "Zebras"),
    ]
    assert ballot.question == "Cats, Dogs, Birds or Zebras?"


@pytest.mark.parametrize("label", ["1", "true", "null", "[]", '"x"', "Katzen & Hunde"])
def test_a_label_stays_the_text_it_is(monkeypatch: pytest.MonkeyPatch, label: str) -> None:
    monkeypatch.setenv("OPTION_A", label)

    assert Settings.from_env().ballot.label("a") == label


def test_an_empty_setting_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTE_PORT", "")
    monkeypatch.setenv("OPTION_A", "")

    assert Settings.from_env() == Settings()


def test_redis_host_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "redis")

    assert Settings.from_env().redis_address == "redis://redis:6379"


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("a key from a file\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(file))

    assert Settings.from_env().secret_key == "a key from a file"


def test_the_environment_itself_goes_before_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("SECRET_KEY", "a key from the environment")

    assert Settings.from_env().secret_key == "a key from the environment"


def test_all_problems_are_reported_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOTE_PORT", "many")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("DATABASE_URL", "mysql://x")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "missing"))

    with pytest.raises(SettingsError) as caught:
        Settings.from_env()

    for name in ("VOTE_PORT", "LOG_LEVEL", "DATABASE_URL", "SECRET_KEY_FILE"):
        assert name in str(caught.value)


def test_no_secret_is_in_the_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a very secret key")

    assert "a very secret key" not in repr(Settings.from_env())


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ignored_variables():
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
        ("VOTE_PORT_FILE", "only SECRET_KEY_FILE"),
        ("TLS_KEY_FILE", "only SECRET_KEY_FILE"),
    ],
)
def test_a_near_miss_is_told_with_what_it_misses(bare: pytest.MonkeyPatch, name: str, meant: str) -> None:
    bare.setenv(name, "something")

    assert list(ignored_variables()) == [name]
    assert ignored_variables()[name].startswith(f"{name} is not read: ")
    assert meant in ignored_variables()[name]


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

    assert ignored_variables() == {}


def test_what_our_own_commands_and_containers_read_is_no_near_miss(bare: pytest.MonkeyPatch) -> None:
    files = ("Makefile", ".env.example", "docker-compose.yml", "docker-compose.override.yml", "Tiltfile", "Dockerfile")
    text = "\n".join((PROJECT / file).read_text(encoding="utf-8") for file in files)
    names = set(re.findall(r"\b[A-Z][A-Z_]{2,}(?==)|\$[({]([A-Z][A-Z_]+)", text)) - {""}
    assert len(names) > 10
    for name in names:
        bare.setenv(name, "something")

    assert ignored_variables() == {}


def test_an_empty_variable_is_not_set(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("OPTON_C", " ")

    assert ignored_variables() == {}


def test_of_a_secret_that_is_set_twice_the_one_that_is_not_read_is_told(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("SECRET_KEY", "a key of our own, and long")
    bare.setenv("SECRET_KEY_FILE", "/run/secrets/key")
    bare.setenv("REDIS_URL_FILE", "/run/secrets/redis")
    bare.setenv("REDIS_HOST", "redis")

    assert ignored_variables() == {
        "SECRET_KEY_FILE": "SECRET_KEY_FILE is not read, because SECRET_KEY is set as well",
        "REDIS_HOST": "REDIS_HOST is not read, because REDIS_URL is set as well",
    }
