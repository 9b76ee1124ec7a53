"""Everything that can be set, read once from the environment.

Every setting is an environment variable of the same name in capitals; an empty one counts as not set. The options are
`OPTION_A` to `OPTION_Z`. A secret may also come from a file: `NAME_FILE` holds its path. All problems are reported
together, so that nobody mends them one start at a time.
"""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from common.ballot import KEYS, Ballot, Option
from common.door_settings import DoorSettings, readable_url

SECRETS = ("secret_key", "redis_url", "database_url")


class SettingsError(Exception):
    """The environment can't be understood; the text lists every problem."""


class Settings(DoorSettings, BaseSettings):
    """The settings of all services; each service uses those that concern it."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, extra="ignore")

    options: dict[str, str] = Field(default={"a": "Cats", "b": "Dogs"}, description="`OPTION_A` ... `OPTION_Z`")
    question: str = Field("", max_length=300, description="the question; without it the labels make one")
    redis_host: str = Field("localhost", description="where Redis is (port 6379), unless `REDIS_URL` is set")
    redis_url: str = Field("", repr=False, description="where Redis is")
    database_url: str = Field(
        "postgresql://postgres:password@localhost:5432/votes", repr=False, description="where PostgreSQL is"
    )
    host: str = Field("127.0.0.1", description="the address that every service listens on")
    vote_port: int = Field(5000, ge=1, le=65535, description="the port of the ballot")
    result_port: int = Field(5001, ge=1, le=65535, description="the port of the dashboard")
    worker_port: int = Field(9100, ge=1, le=65535, description="the port of the worker's health and metrics")
    vote_url: str = Field("", description="the ballot's address as people type it, if not this host and `VOTE_PORT`")
    result_url: str = Field("", description="the dashboard's address, if not this host and `RESULT_PORT`")
    observe: bool = Field(False, description="whether `make up` starts Prometheus beside the rest")
    prometheus_port: int = Field(9090, ge=1, le=65535, description="the port of Prometheus")
    otel_exporter_otlp_endpoint: str = Field("", description="where traces are sent; without it there are none")
    data_dir: Path = Field(Path(".data"), description="where `make up` keeps its servers' data")
    batch_size: int = Field(2000, ge=1, le=100_000, description="how many votes the worker records at most at once")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")
    log_format: Literal["auto", "console", "colour", "json"] = Field(
        "auto", description="console, colour, json, or auto: colour on a terminal, json elsewhere"
    )

    @field_validator(*SECRETS, mode="before")
    @classmethod
    def _readable(cls, value: object) -> object:
        if isinstance(value, OSError | UnicodeDecodeError):
            raise ValueError(f"can't be read: {value}")
        return value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return readable_url(value)

    @field_validator("database_url")
    @classmethod
    def _database_scheme(cls, value: str) -> str:
        if not value.startswith(("postgres://", "postgresql://")):
            raise ValueError("must begin with postgres:// or postgresql://")
        return readable_url(value)

    @field_validator("options")
    @classmethod
    def _short_labels(cls, value: dict[str, str]) -> dict[str, str]:
        if too_long := [f"OPTION_{key.upper()}" for key, label in value.items() if len(label) > 200]:
            raise ValueError(f"{', '.join(too_long)}: a label has at most 200 characters")
        return value

    @property
    def ballot(self) -> Ballot:
        """The question and the options, in the order of their keys."""
        return Ballot.of(tuple(Option(key, label) for key, label in sorted(self.options.items())), self.question)

    @property
    def redis_address(self) -> str:
        """`REDIS_URL`, or the address that `REDIS_HOST` makes."""
        return self.redis_url or f"redis://{self.redis_host}:6379"

    @property
    def redis_is_set(self) -> bool:
        """Whether somebody said where Redis is; without it, the address is a guess."""
        return bool({"redis_url", "redis_host"} & self.model_fields_set)

    @classmethod
    def from_env(cls) -> "Settings":
        """Read the environment; raises SettingsError, which lists every problem."""
        try:
            return cls()
        except ValidationError as error:
            problems = [f"  {_variable(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
            raise SettingsError("the settings have problems:\n" + "\n".join(problems)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment proper first, then secrets in files; the options are gathered from 26 variables."""
        return init_settings, _Options(settings_cls), env_settings, _SecretFiles(settings_cls)


class _Options(PydanticBaseSettingsSource):
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        named = {key: os.environ.get(f"OPTION_{key.upper()}", "").strip() for key in KEYS}
        return {"options": {"a": "Cats", "b": "Dogs"} | {key: label for key, label in named.items() if label}}


class _SecretFiles(PydanticBaseSettingsSource):
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE", "")
        if field_name not in SECRETS or not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            # `_readable` reports it, together with all other problems
            return error, field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


def _variable(location: tuple[int | str, ...]) -> str:
    if not location:  # of several settings together: the message names them
        return "together"
    name = str(location[0]).upper()
    from_file = not os.environ.get(name) and os.environ.get(f"{name}_FILE")
    return f"{name}_FILE" if from_file else name
