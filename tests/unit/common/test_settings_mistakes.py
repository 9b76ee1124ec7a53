"""Mistakes in the settings: all are told, with the value and what is right, in our words; no secret is shown."""

import re
from pathlib import Path
from typing import Any

import pytest
import trustme

from common.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)


def problem(monkeypatch: pytest.MonkeyPatch, **values: str) -> str:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.from_env()
    return str(caught.value)


@pytest.mark.parametrize("value", ["10.0.0.1/8", "proxy", "10.0.0.0/8;10.1.0.0/16", "0.0.0.0/33"])
def test_a_proxy_that_is_no_network_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "TRUSTED_PROXIES" in problem(monkeypatch, TRUSTED_PROXIES=value)


def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7,fd00::/8,")

    assert [str(network) for network in Settings.from_env().proxies] == ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]


@pytest.mark.parametrize("values", [{"TLS_CERTIFICATE": "x"}, {"TLS_KEY": "x"}])
def test_a_certificate_needs_its_key(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    assert "TLS_CERTIFICATE and TLS_KEY" in problem(monkeypatch, **values)


def test_words_may_be_written_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYHO_ENV", "Production")
    monkeypatch.setenv("VOTER_CODES", "ON")

    settings = Settings.from_env()

    assert (settings.tallyho_env, settings.voter_codes) == ("production", "on")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://tallyho:s3cr/et@db/votes"),
        ("DATABASE_URL", "postgresql://tallyho:s3cr#et@db/votes"),
        ("DATABASE_URL", "mysql://tallyho:s3cret@db/votes"),
        ("REDIS_URL", "redis://vote:s3cr?et@redis:6379"),
        ("REDIS_URL", "http://vote:s3cret@redis:6379"),
        ("SECRET_KEY", "s3cret"),
    ],
)
def test_a_secret_that_can_not_be_used_is_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    message = problem(monkeypatch, **{name: value})

    assert name in message
    assert "s3cr" not in message


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://postgres@/votes?host=/run/postgresql&port=5432",
        "postgresql://u:p%2Fw@[::1]:5432/votes",
        "postgresql://u:p@one:5432,two/votes",
        "postgres://db/votes",
    ],
)
def test_every_right_address_is_taken(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DATABASE_URL", value)
    settings: Any = Settings.from_env()

    assert settings.database_url == value


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("VOTE_PORT", "50x", "must be a whole number from 1 to 65535"),
        ("RESULT_PORT", "0", "must be a whole number from 1 to 65535"),
        ("WORKER_PORT", "70000", "must be a whole number from 1 to 65535"),
        ("VOTE_PORT", "50.5", "must be a whole number from 1 to 65535"),
        ("PROMETHEUS_PORT", "9" * 5000, "must be a whole number from 1 to 65535"),
        ("LIMIT_PER_VOTER", "-1", "must be a whole number from 0 on"),
        ("LIMIT_PER_ADDRESS", "many", "must be a whole number from 0 on"),
        ("BATCH_SIZE", "0", "must be a whole number from 1 to 100000"),
        ("LOG_LEVEL", "verbose", "must be debug, info, warning or error"),
        ("LOG_FORMAT", "xml", "must be auto, console, colour or json"),
        ("TALLYHO_ENV", "prod", "must be development or production"),
        ("VOTER_CODES", "maybe", "must be off or on"),
        ("PROXY_HEADERS", "via", "must be x-forwarded or forwarded"),
        ("OBSERVE", "maybe", "must be 1 or 0"),
        ("VOTE_URL", "vote.example.org", "must be a web address like"),
        ("VOTE_URL", "javascript:alert(1)", "must be a web address like"),
        ("RESULT_URL", "ftp://example.org", "must be a web address like"),
        ("RESULT_URL", "http://", "must be a web address like"),
        ("RESULT_URL", "http://example.org:port", "must be a web address like"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "must be a web address like"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "did you mean 10.0.0.1 or 10.0.0.0/8?"),
        ("TRUSTED_PROXIES", "10.0.0.0/8;10.1.0.0/16", "separate several by commas"),
        ("REDIS_HOST", "redis:6380", "must be a host alone; with a port or a password, set REDIS_URL="),
        ("REDIS_HOST", "redis://redis", "must be a host alone"),
    ],
)
def test_a_mistake_is_told_with_its_value_and_with_what_is_right(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, advice: str
) -> None:
    message = problem(monkeypatch, **{name: value})

    assert message.startswith(f"{name}={value}: ")
    assert advice in message
    assert "\n" not in message


def test_the_words_are_ours_whatever_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """pydantic's speak of inputs, types and of parsing, which nobody knows who types a command."""
    names = [name.upper() for name, field in Settings.model_fields.items() if field.annotation not in (str, Path)]
    message = problem(monkeypatch, **{name: "\N{SNOWMAN} of no sense" for name in names if name != "OPTIONS"})

    assert len(message.splitlines()) == len(names)  # OPTIONS is none; the first line says how many are wrong
    assert not re.search(r"[Ii]nput|pars|pydantic|valid|Field|type", message)


def test_labels_that_nobody_could_tell_apart_are_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "OPTION_B and OPTION_D are both 'Dogs'" in problem(monkeypatch, OPTION_D="Dogs ")


def test_too_long_a_label_or_question_is_told_with_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    message = problem(monkeypatch, OPTION_C="x" * 201, QUESTION="y" * 301)

    assert "a label has at most 200 characters, and OPTION_C has 201" in message
    assert "must have at most 300 characters, and has 301" in message


def test_options_in_the_environment_is_nobodys_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The field of this name is gathered from OPTION_A to OPTION_Z."""
    for value in ("-v", '{"c": "Birds"}', "["):
        monkeypatch.setenv("OPTIONS", value)
        assert Settings.from_env() == Settings()


def test_names_in_small_letters_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some shells have `host` and the like in the environment, with other meanings."""
    monkeypatch.setenv("host", "x86_64-conda-linux-gnu")
    monkeypatch.setenv("vote_port", "many")

    assert Settings.from_env(["vote"]) == Settings()


def test_a_password_in_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    message = problem(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT="htp://me:s3cret@collector", VOTE_URL="//me:s3cret@vote")

    assert "s3cret" not in message
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=htp://***@collector" in message


def test_a_file_that_holds_no_secret_is_told_with_its_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    message = problem(
        monkeypatch,
        SECRET_KEY_FILE=str(tmp_path / "empty"),
        REDIS_URL_FILE=str(tmp_path / "binary"),
        DATABASE_URL_FILE=str(tmp_path),
    )

    assert f"SECRET_KEY_FILE={tmp_path / 'empty'}: the file is empty" in message
    assert f"REDIS_URL_FILE={tmp_path / 'binary'}: can't be read: not UTF-8 text" in message
    assert f"DATABASE_URL_FILE={tmp_path}: can't be read: Is a directory" in message


def test_what_a_service_needs_of_this_machine_is_told_with_all_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = {
        "HOST": "203.0.113.9",
        "TALLYHO_ENV": "production",
        "TLS_CERTIFICATE": str(tmp_path / "gone"),
        "TLS_KEY": str(tmp_path),
        "VOTE_PORT": "50x",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    def wrong(*services: str) -> set[str]:
        return {line.partition("=")[0].partition(":")[0] for line in Settings.understood(services)[1]}

    assert wrong("vote") == {"HOST", "SECRET_KEY", "TLS_CERTIFICATE", "TLS_KEY", "VOTE_PORT"}
    assert wrong("result") == {"HOST", "TLS_CERTIFICATE", "TLS_KEY", "VOTE_PORT"}
    assert wrong("worker") == {"HOST", "VOTE_PORT"}
    assert wrong() == {"VOTE_PORT"}


def test_a_key_that_can_not_be_read_is_not_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYHO_ENV", "production")
    monkeypatch.setenv("SECRET_KEY", "short")

    assert Settings.understood(["vote"])[1] == ["SECRET_KEY: must have at least 16 characters"]


def test_production_with_a_key_of_ones_own_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYHO_ENV", "production")
    monkeypatch.setenv("SECRET_KEY", "a key of our own, and long")

    assert Settings.from_env(["vote", "worker", "result"]).secret_key == "a key of our own, and long"


def test_a_certificate_with_its_key_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("vote.example.org")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "chain.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    monkeypatch.setenv("TLS_CERTIFICATE", str(tmp_path / "chain.pem"))
    monkeypatch.setenv("TLS_KEY", str(tmp_path / "key.pem"))

    assert Settings.from_env(["vote"]).tls == (str(tmp_path / "chain.pem"), str(tmp_path / "key.pem"))


@pytest.mark.parametrize("host", ["::1", "2001:db8::7"])
def test_redis_may_be_at_an_ipv6_address(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("REDIS_HOST", host)

    assert Settings.from_env().redis_address == f"redis://[{host}]:6379"
