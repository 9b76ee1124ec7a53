"""The settings of the door: who is let in, how often, whom we believe, and how the line is kept private."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator

# Everybody can read it here: whoever signs with it can vote as anybody.
DEVELOPMENT_KEY = "tallyho-development-key"

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections a service may have; 0 is no limit."""

    most: int = 0
    most_per_address: int = 0
    trusted: tuple[Network, ...] = ()  # proxies, behind whose addresses many are


NO_LIMITS = ConnectionLimits()


class DoorSettings(BaseModel):
    """A part of Settings, with its own checks."""

    tallyho_env: Literal["development", "production"] = Field(
        "development", description="production: vote does not start with the development key"
    )
    secret_key: str = Field(DEVELOPMENT_KEY, repr=False, min_length=16, description="signs the voters' cookies")
    tls_certificate: str = Field("", description="the path of a certificate (PEM, with its chain); vote and result")
    tls_key: str = Field("", description="the path of the certificate's private key")
    trusted_proxies: str = Field("", description="addresses and networks of proxies whose headers are believed")
    proxy_headers: Literal["x-forwarded", "forwarded"] = Field(
        "x-forwarded", description="which headers they set: `X-Forwarded-For`, `-Proto`, `-Host`, or `Forwarded`"
    )
    limit_per_voter: int = Field(300, ge=0, description="votes of one voter in a minute; 0: no limit")
    limit_per_address: int = Field(6000, ge=0, description="votes from one address in a minute; 0: no limit")
    max_connections: int = Field(
        10_000, ge=0, description="open connections of each service; 0: as many as it has files"
    )
    max_connections_per_address: int = Field(6000, ge=0, description="of these from one address; 0: no limit")
    voter_codes: Literal["off", "on"] = Field("off", description="on: only who has a code may vote")

    @field_validator("tallyho_env", "voter_codes", "proxy_headers", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for part in _parts(value):
            try:
                ip_network(part)
            except ValueError:
                raise ValueError(f"{part} is no address and no network like 10.0.0.0/8") from None
        return value

    @model_validator(mode="after")
    def _certificate_with_key(self) -> "DoorSettings":
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("TLS_CERTIFICATE and TLS_KEY are set both or neither")
        return self

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


def readable_url(value: str) -> str:
    """The URL as it is; raises ValueError, which does not show it, when its password is not written as it must be.

    The libraries would take a part of the password for the port, and name it in their error.
    """
    place = urlsplit(value).netloc.rpartition("@")[2]
    ports = [part.rpartition("]")[2].partition(":")[2] for part in place.split(",")]
    if not all(port.isdigit() for port in ports if port):
        raise ValueError("the port is no number; in a password, write / ? # @ : as %2F %3F %23 %40 %3A")
    return value


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
