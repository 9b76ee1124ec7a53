"""All settings, read once from the environment.

Every setting is an environment variable of the same name in capitals; an empty one counts as not set. Options are
`OPTION_A` to `OPTION_Z`. Secrets may come from files: `NAME_FILE` holds a path. All mistakes are reported together,
without secrets. `make settings-doc` copies the descriptions to docs/settings.md and `.env.example`.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from common.ballot import KEYS, Ballot, Option
from common.preflight import address_to_listen_on, ignored_among, tls_problems

SECRETS = ("secret_key", "redis_url", "database_url")
# Public: whoever knows the key can vote as anybody.
DEVELOPMENT_KEY = "tallyho-development-key"

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections a service may have; 0 means no limit."""

    most: int = 0
    most_per_address: int = 0
    trusted: tuple[Network, ...] = ()  # proxies, each of which stands for many clients


NO_LIMITS = ConnectionLimits()


class SettingsError(Exception):
    """The environment is not valid; the text lists every problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        several = [f"{len(problems)} settings are wrong:", *(f"  {problem}" for problem in problems)]
        super().__init__(problems[0] if len(problems) == 1 else "\n".join(several))


class Settings(BaseModel):
    """The settings of all services; each uses those that concern it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The poll
    options: dict[str, str] = Field(
        {"a": "Cats", "b": "Dogs"}, description="the options; `OPTION_A` and `OPTION_B` always exist"
    )
    question: str = Field(
        "", max_length=300, description='the question; by default made from the labels: "Cats or Dogs?"'
    )

    # Where the servers are
    redis_host: str = Field(
        "localhost",
        description="the host of Redis (port 6379), ignored if `REDIS_URL` is set; with neither set, `make up` starts "
        "its own Redis",
    )
    redis_url: str = Field(
        "",
        repr=False,
        description="the address of Redis: `redis://`, `rediss://`, `unix://`; result needs it only for `/pipeline`",
    )
    database_url: str = Field(
        "postgresql://postgres:password@localhost:5432/votes",
        repr=False,
        description="the address of PostgreSQL; unless it is set, `make up` starts its own",
    )

    # Who may vote, how often, and whom we believe
    secret_key: str = Field(
        DEVELOPMENT_KEY,
        repr=False,
        min_length=16,
        description="the key that signs voters' cookies, at least 16 characters; whoever knows it can vote as anybody",
    )
    tallyho_env: Literal["development", "production"] = Field(
        "development", description="`production`: vote refuses to start with the development key"
    )
    voter_codes: Literal["off", "on"] = Field(
        "off",
        description="`on`: voting takes a code ([SECURITY.md](SECURITY.md)); `make codes N=50` prints some",
    )
    limit_per_voter: int = Field(300, ge=0, description="votes per minute from one voter; 0: no limit")
    limit_per_address: int = Field(
        6000,
        ge=0,
        description="votes per minute from one address (IPv6 /48: ten times as many), except this machine; 0: no limit",
    )
    max_connections: int = Field(
        10_000,
        ge=0,
        description="open connections per service, never more than its limit of open files allows; 0: only that limit "
        "([docs/robustness.md](docs/robustness.md))",
    )
    max_connections_per_address: int = Field(
        6000,
        ge=0,
        description="of these, from one address (IPv6: one /64); this machine and trusted proxies are not limited; "
        "0: no limit",
    )
    trusted_proxies: str = Field(
        "", description="addresses and networks of proxies whose headers to trust: `10.0.0.0/8,192.0.2.7`"
    )
    proxy_headers: Literal["x-forwarded", "forwarded"] = Field(
        "x-forwarded",
        description="their headers: `x-forwarded` (`X-Forwarded-For`, `-Proto`, `-Host`) or `forwarded` (RFC 7239)",
    )

    # Where the pages are
    tls_certificate: str = Field(
        "", description="the path of a certificate (PEM, with its chain); vote and result then serve HTTPS"
    )
    tls_key: str = Field("", description="the path of the certificate's private key, without a password")
    host: str = Field("127.0.0.1", description="the address every service listens on")
    vote_port: int = Field(5000, ge=1, le=65535, description="the ballot's port")
    result_port: int = Field(5001, ge=1, le=65535, description="the dashboard's port")
    worker_port: int = Field(
        9100,
        ge=1,
        le=65535,
        description="the port of the worker's health and metrics; by default, `make up` picks another if it is taken",
    )
    vote_url: str = Field("", description="the ballot's public address, if not this host and `VOTE_PORT`")
    result_url: str = Field("", description="the dashboard's public address, if not this host and `RESULT_PORT`")

    # What make up runs, and how it is watched
    data_dir: Path = Field(Path(".data"), description="the folder in which `make up` keeps its servers' data")
    observe: bool = Field(False, description="`1`: `make up` also starts Prometheus, if it is on PATH")
    prometheus_port: int = Field(9090, ge=1, le=65535, description="Prometheus' port")
    otel_exporter_otlp_endpoint: str = Field(
        "",
        description="where to send traces (OTLP over HTTP), e.g. `http://collector:4318`; by default nowhere",
    )
    batch_size: int = Field(2000, ge=1, le=100_000, description="how many votes the worker records at once, at most")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug`, `info`, `warning` or `error`"
    )
    log_format: Literal["auto", "console", "colour", "json"] = Field(
        "auto",
        description="`console`, `colour`, `json`, or `auto`: colour on a terminal, JSON elsewhere (`make up`: console)",
    )

    @field_validator("tallyho_env", "voter_codes", "proxy_headers", "log_level", "log_format", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("options")
    @classmethod
    def _labels(cls, value: dict[str, str]) -> dict[str, str]:
        names: dict[str, str] = {}
        for key, label in sorted(value.items()):
            name = f"OPTION_{key.upper()}"
            if len(label) > 200:
                raise ValueError(f"a label has at most 200 characters, and {name} has {len(label)}")
            if (other := names.setdefault(" ".join(label.split()), name)) != name:
                raise ValueError(f"{other} and {name} are both {label!r}: give each its own label")
        return value

    @field_validator("redis_host")
    @classmethod
    def _host_alone(cls, value: str) -> str:
        if _is_ipv6(value):
            return value
        if re.search(r"[\s/@:]", value):
            raise ValueError("must be a host alone; with a port or a password, set REDIS_URL=redis://host:6380 instead")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return _readable_url(value)

    @field_validator("database_url")
    @classmethod
    def _database_scheme(cls, value: str) -> str:
        if not value.startswith(("postgres://", "postgresql://")):
            raise ValueError("must begin with postgres:// or postgresql://")
        return _readable_url(value)

    @field_validator("vote_url", "result_url", "otel_exporter_otlp_endpoint")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if not value:
            return value
        try:
            url = urlsplit(value)
            is_one = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            is_one = False
        if not is_one or re.search(r"\s", value):
            raise ValueError("must be a web address like http://example.org:5000 or https://example.org")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for part in _parts(value):
            try:
                ip_network(part)
            except ValueError:
                raise ValueError(_advice_on_network(part)) from None
        return value

    @property
    def ballot(self) -> Ballot:
        """The question and the options, in the order of their keys."""
        return Ballot.of(tuple(Option(key, label) for key, label in sorted(self.options.items())), self.question)

    @property
    def redis_address(self) -> str:
        """`REDIS_URL`, or the address that `REDIS_HOST` makes."""
        host = f"[{self.redis_host}]" if _is_ipv6(self.redis_host) else self.redis_host
        return self.redis_url or f"redis://{host}:6379"

    @property
    def redis_is_set(self) -> bool:
        """Whether the address of Redis was set; otherwise it is a guess."""
        return bool({"redis_url", "redis_host"} & self.model_fields_set)

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The networks of `TRUSTED_PROXIES`."""
        return tuple(ip_network(part) for part in _parts(self.trusted_proxies))

    @property
    def connection_limits(self) -> ConnectionLimits:
        """How many connections there may be."""
        return ConnectionLimits(self.max_connections, self.max_connections_per_address, self.proxies)

    @property
    def tls(self) -> tuple[str, str] | None:
        """The paths of certificate and key, None without TLS."""
        return (self.tls_certificate, self.tls_key) if self.tls_certificate else None

    @classmethod
    def from_env(cls, services: Collection[str] = ()) -> "Settings":
        """Read the environment; raises SettingsError, which lists every problem.

        Given names of services, also check what they need: an address of this machine, files, a secret key.
        """
        settings, problems = cls.understood(services)
        if problems:
            raise SettingsError(problems)
        return settings

    @classmethod
    def understood(cls, services: Collection[str] = ()) -> tuple["Settings", list[str]]:
        """The settings, with defaults in place of invalid ones, and every problem."""
        read = _read(os.environ)
        try:
            settings = cls(**read.values)
        except ValidationError as error:
            for details in error.errors():
                name = str(details["loc"][0])
                read.problems.setdefault(name, f"{read.shown[name]}: {_in_our_words(name, details)}")
            settings = cls(**{name: value for name, value in read.values.items() if name not in read.problems})
        needs = _needs(settings, set(services), read)
        return settings, [*read.problems.values(), *needs]


@dataclass
class _Environment:
    """What the environment says, by field: values, how each may be shown, and problems."""

    values: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def _read(environ: Mapping[str, str]) -> _Environment:
    read = _Environment()
    labels = {key: environ.get(f"OPTION_{key.upper()}", "").strip() for key in KEYS}
    read.values["options"] = Settings.model_fields["options"].default | {key: x for key, x in labels.items() if x}
    read.shown["options"] = "the options"
    for name in (name for name in Settings.model_fields if name != "options"):
        variable = name.upper()
        path = environ.get(f"{variable}_FILE", "").strip() if name in SECRETS else ""
        if value := environ.get(variable, "").strip():
            read.values[name] = value
            read.shown[name] = variable if name in SECRETS else f"{variable}={_without_password(value)}"
        elif path:
            read.shown[name] = f"{variable}_FILE={path}"
            try:
                read.values[name] = _content(path)
            except ValueError as error:
                read.problems[name] = f"{read.shown[name]}: {error}"
    return read


def _needs(settings: Settings, services: set[str], read: _Environment) -> Iterable[str]:
    """What these services lack, unless it follows from another problem."""
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        here, missing = ("CERTIFICATE", "KEY") if settings.tls_certificate else ("KEY", "CERTIFICATE")
        yield f"TLS_{here} is set and TLS_{missing} is not: set both TLS_CERTIFICATE and TLS_KEY, or neither"
    elif settings.tls and services & {"vote", "result"}:
        for variable, problem in tls_problems(*settings.tls).items():
            yield f"{read.shown[variable.lower()]}: {problem}"
    if services:
        try:
            address_to_listen_on(settings.host)
        except ValueError as error:
            yield f"{read.shown.get('host', 'HOST')}: {error}"
    is_development_key = settings.secret_key == DEVELOPMENT_KEY and "secret_key" not in read.problems
    if "vote" in services and settings.tallyho_env == "production" and is_development_key:
        yield (
            "SECRET_KEY: TALLYHO_ENV=production does not run with the development key, which everybody knows; "
            "set SECRET_KEY or SECRET_KEY_FILE to a secret of your own, for example of: openssl rand -hex 32"
        )


def _in_our_words(name: str, error: ErrorDetails) -> str:
    settable = Settings.model_fields[name]
    match error["type"]:
        case "value_error":
            return str(error["ctx"]["error"])
        case "literal_error":
            *most, last = get_args(settable.annotation)
            return f"must be {', '.join(most)} or {last}"
        case "bool_parsing":
            return "must be 1 or 0"
        case "string_too_short":
            return f"must have at least {error['ctx']['min_length']} characters"
        case "string_too_long":
            return f"must have at most {error['ctx']['max_length']} characters, and has {len(error['input'])}"
    lowest = next((bound.ge for bound in settable.metadata if hasattr(bound, "ge")), 0)
    highest = next((bound.le for bound in settable.metadata if hasattr(bound, "le")), None)
    return f"must be a whole number from {lowest} {f'to {highest}' if highest else 'on'}"


def _advice_on_network(part: str) -> str:
    try:
        meant = ip_network(part, strict=False)
    except ValueError:
        return f"{part} is neither an address like 192.0.2.7 nor a network like 10.0.0.0/8; separate several by commas"
    return f"{part} has bits set outside its network: did you mean {part.partition('/')[0]} or {meant}?"


def _readable_url(value: str) -> str:
    """The URL unchanged; raises ValueError, without showing it, when its password is not percent-encoded.

    The libraries would take part of the password for the port, and show it in their error.
    """
    try:
        place = urlsplit(value).netloc.rpartition("@")[2]
    except ValueError:
        raise ValueError("is not a valid URL; put an IPv6 address in [ ]") from None
    ports = [part.rpartition("]")[2].partition(":")[2] for part in place.split(",")]
    if not all(port.isdigit() for port in ports if port):
        raise ValueError("the port is not a number; in a password, write / ? # @ : as %2F %3F %23 %40 %3A")
    return value


def _content(path: str) -> str:
    """The content of a file; raises ValueError."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("can't be read: not UTF-8 text") from None
    if not text:
        raise ValueError("the file is empty")
    return text


def _without_password(value: str) -> str:
    return re.sub(r"//[^/\s]*@", "//***@", value)


def _is_ipv6(host: str) -> bool:
    try:
        return bool(IPv6Address(host))
    except ValueError:
        return False


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def ignored_variables() -> dict[str, str]:
    """Variables that look like settings and are ignored, each with advice: a typo in a name has no other symptom."""
    names = {name.upper() for name in Settings.model_fields} - {"OPTIONS"} | {f"OPTION_{key.upper()}" for key in KEYS}
    return ignored_among(os.environ, names, [name.upper() for name in SECRETS])
