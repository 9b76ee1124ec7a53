"""Plain requests, read as ASGI has them; what is not plain is left to Quart, which knows every case."""

import asyncio
from collections.abc import Mapping

from hypercorn.typing import ASGIReceiveCallable, HTTPScope
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout
from werkzeug.sansio.http import parse_cookie

from common.web import BODY_SECONDS, MAX_BODY_BYTES

Headers = Mapping[bytes, bytes]


def plain_headers(scope: HTTPScope) -> Headers | None:
    """The headers by name, None when one is there twice: which of the two counts is not for us to say."""
    fields = list(scope["headers"])
    headers = dict(fields)
    return headers if len(headers) == len(fields) else None


def cookies_of(headers: Headers) -> Mapping[str, str]:
    """The cookies by name."""
    return parse_cookie(headers.get(b"cookie", b"").decode("latin1"))


def is_plain_vote(content_type: bytes, scope: HTTPScope, headers: Headers) -> bool:
    """Whether this is a body of exactly this type, and surely from our own page or a program."""
    length = headers.get(b"content-length", b"0")
    return (
        headers.get(b"content-type") == content_type
        and len(length) <= len(str(MAX_BODY_BYTES))  # one that is too long is refused before it is read
        and length.isdigit()
        and int(length) <= MAX_BODY_BYTES
        and _is_ours(scope, headers)
    )


async def read_all(receive: ASGIReceiveCallable) -> bytes | None:
    """The body, None when its sender has gone; raises RequestTimeout and RequestEntityTooLarge."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES:
                    raise RequestEntityTooLarge
                if not message.get("more_body", False):
                    return body
    except TimeoutError:
        raise RequestTimeout from None


def _is_ours(scope: HTTPScope, headers: Headers) -> bool:
    origin = headers.get(b"origin")
    if origin is None:
        return headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin")
    return origin == scope["scheme"].encode() + b"://" + headers.get(b"host", b"")
