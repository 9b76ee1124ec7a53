"""The door's settings: mistakes are named, and no message shows a secret."""

from typing import Any

import pytest

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
