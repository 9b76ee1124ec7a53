"""What this machine must have for the settings: the address to listen on, a certificate that fits its key."""

import errno
import os
import socket
import threading
from ipaddress import ip_address
from typing import Any

# A name server that does not answer keeps the resolver for half a minute; nobody waits that long for a typing error.
RESOLVE_SECONDS = 3.0

_CHOICES = "HOST=127.0.0.1 is for this machine alone, HOST=0.0.0.0 for every machine that reaches this one"


def address_to_listen_on(host: str) -> str:
    """The address that HOST means, which is one of this machine's; raises ValueError, which says what to do."""
    addresses = [host] if _is_address(host) else _resolved(host)
    if not addresses:
        raise ValueError(f"this machine has no such address, and knows no such name; {_CHOICES}")
    problems = {address: _why_not(address) for address in addresses}
    usable = [address for address, problem in problems.items() if problem is None]
    if not usable:
        means = "" if addresses == [host] else f"it means {addresses[0]}, and "
        raise ValueError(f"{means}{problems[addresses[0]]}; {_CHOICES}")
    if host not in usable and all(":" in address for address in usable):
        # the server binds a name in IPv4 only
        raise ValueError(f"it means {usable[0]} only: write that address, HOST={usable[0]}")
    return usable[0]


def tls_problems(certificate: str, key: str) -> dict[str, str]:
    """What is wrong with these two files, by the name of the setting."""
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
    """The addresses of a name, those of IPv4 first; none if nobody knows it or answers in time."""
    found: list[str] = []

    def resolve() -> None:
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        addresses = {str(answer[4][0]) for answer in answers}
        found.extend(sorted(addresses, key=lambda address: (":" in address, address)))

    # a daemon, because nothing can stop it and nobody shall wait for it
    thread = threading.Thread(target=resolve, name="resolve HOST", daemon=True)
    thread.start()
    thread.join(RESOLVE_SECONDS)
    return [] if thread.is_alive() else found


def _why_not(address: str) -> str | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as server:
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
    # Imported here, because most runs have no TLS, and it costs the supervisor of `make up` megabytes.
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except ssl.SSLError:
        return {"TLS_CERTIFICATE": "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"}
    asked: list[bool] = []

    def no_password(*_: Any) -> str:
        asked.append(True)  # without this function OpenSSL would ask at the terminal, and wait
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
