"""Settings: read once, typed, every problem in one error."""

from pathlib import Path

import pytest

from common.ballot import KEYS
from common.settings import Settings, SettingsError


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
