"""Checks before anything starts: misspelt variables, the address to listen on, a certificate and its key."""

import difflib
import errno
import os
import re
import socket
import threading
from collections.abc import Mapping, Sequence, Set
from ipaddress import ip_address
from typing import Any

# Compose reads this one; it only looks like a misspelt setting.
NOT_OURS = {"RESULT_PORTS", "VOTE_PORTS"}
SIMILARITY = 0.82  # of 1: by this measure OPTON_C is OPTION_C, and HOSTNAME is not HOST
LENGTH_DIFFERENCE = 2

# A name server that does not answer blocks the resolver for half a minute: too long to wait for a typing error.
RESOLVE_SECONDS = 3.0

_CHOICES = "HOST=127.0.0.1 is for this machine alone, HOST=0.0.0.0 for every machine that reaches this one"


def address_to_listen_on(host: str) -> str:
    """The address of this machine that HOST means; raises ValueError, which says what to do."""
    addresses = [host] if _is_address(host) else _resolved(host)
    if not addresses:
        raise ValueError(f"this machine has no such address, and knows no such name; {_CHOICES}")
    problems = {address: _why_not(address) for address in addresses}
    usable = [address for address, problem in problems.items() if problem is None]
    if not usable:
        means = "" if addresses == [host] else f"it means {addresses[0]}, and "
        raise ValueError(f"{means}{problems[addresses[0]]}; {_CHOICES}")
    if host not in usable and all(":" in address for address in usable):
        # the server binds names in IPv4 only
        raise ValueError(f"it means {usable[0]} only: write that address, HOST={usable[0]}")
    return usable[0]


def tcp_socket(address: str) -> socket.socket:
    """A TCP socket of the address's family, not bound yet."""
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)


def with_port(host: str, port: int) -> str:
    """Host and port in one text; an IPv6 address needs brackets there."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tls_problems(certificate: str, key: str) -> dict[str, str]:
    """What is wrong with these two files, by setting."""
    unreadable = {
        name: f"can't be read: {problem}"
        for name, path in (("TLS_CERTIFICATE", certificate), ("TLS_KEY", key))
        if (problem := _why_unreadable(path))
    }
    return unreadable or _why_unfit(certificate, key)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _resolved(name: str) -> list[str]:
    """The addresses of a name, IPv4 first; none if the name is unknown or no answer comes in time."""
    found: list[str] = []

    def resolve() -> None:
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        addresses = {str(answer[4][0]) for answer in answers}
        found.extend(sorted(addresses, key=lambda address: (":" in address, address)))

    # a daemon, because it can't be stopped and must not be waited for
    thread = threading.Thread(target=resolve, name="resolve HOST", daemon=True)
    thread.start()
    thread.join(RESOLVE_SECONDS)
    return [] if thread.is_alive() else found


def _why_not(address: str) -> str | None:
    try:
        with tcp_socket(address) as server:
            server.bind((address, 0))
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            return "this machine has no such address"
        return f"this machine can't listen there ({os.strerror(error.errno or 0)})"
    return None


def _why_unreadable(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return None if file.read(1) else "the file is empty"
    except OSError as error:
        return error.strerror


def _why_unfit(certificate: str, key: str) -> dict[str, str]:
    # imported here because most runs have no TLS, and it costs the supervisor of `make up` megabytes
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except ssl.SSLError:
        return {"TLS_CERTIFICATE": "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"}
    asked: list[bool] = []

    def no_password(*_: Any) -> str:
        asked.append(True)  # without this function OpenSSL would prompt on the terminal
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, no_password)
    except (ssl.SSLError, ValueError) as error:
        if asked:
            return {"TLS_KEY": "has a password: give a key without one"}
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            return {"TLS_KEY": "is not the key of TLS_CERTIFICATE"}
        return {"TLS_KEY": "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)"}
    return {}


def ignored_among(environ: Mapping[str, str], names: Set[str], secrets: Sequence[str]) -> dict[str, str]:
    """Variables that look like one of these settings and are ignored, each with advice; secrets may come from files."""
    is_set = {name for name, value in environ.items() if value.strip()}
    files = [f"{secret}_FILE" for secret in secrets]
    known = {*names, *files}
    found = {name: advice for name in sorted(is_set) if (advice := _advice_on_name(name, known, files))}
    for secret, file in zip(secrets, files, strict=True):
        if {secret, file} <= is_set:
            found[file] = f"{file} is not read, because {secret} is set as well"
    if "REDIS_HOST" in is_set and is_set & {"REDIS_URL", "REDIS_URL_FILE"}:
        found["REDIS_HOST"] = "REDIS_HOST is not read, because REDIS_URL is set as well"
    return found


def _advice_on_name(name: str, known: Set[str], files: Sequence[str]) -> str | None:
    upper = name.upper()
    # OpenTelemetry has many more names, which resemble ours
    if name in known | NOT_OURS or name.startswith("OTEL_"):
        return None
    if upper in known:
        return f"{name} is not read: write it in capitals, {upper}"
    if re.fullmatch(r"OPTIONS?(_.*)?", upper):
        return f"{name} is not read: an option is one of OPTION_A to OPTION_Z"
    if upper.endswith("_FILE") and upper.removesuffix("_FILE") in known:
        return f"{name} is not read: only {', '.join(files)} can come from files"
    similar = difflib.get_close_matches(upper, sorted(known), 1, SIMILARITY)
    if similar and abs(len(similar[0]) - len(name)) <= LENGTH_DIFFERENCE:
        return f"{name} is not read: did you mean {similar[0]}?"
    return None
