"""Where a request comes from, by what its headers say: the host it was sent to, and the page that sent it."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

SCHEMES = {"ws": "http", "wss": "https"}


def host_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The Host as it was sent, nothing if there is none."""
    return next((value.decode("latin1") for name, value in headers if name == b"host"), "")


def is_foreign(scope: Any) -> bool:
    """Whether a browser sent this from a page of another origin; programs send neither header."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    if origin is None:
        return headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin")
    try:
        page = urlsplit(origin.decode("latin1"))
    except ValueError:
        return True
    return not page.netloc or page.netloc.lower() != host_of(scope["headers"]).lower()
