"""Waits until the parts answer. Speaks HTTP by hand, because a client library would cost the supervisor megabytes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local.answers import ANSWERS
from local.parts import command, subject

if TYPE_CHECKING:
    from ssl import SSLContext

POLL_SECONDS = 0.05
ANSWER_SECONDS = 2.0
# After so long, say what is missing.
PATIENCE_SECONDS = 15.0

# Says what is wrong, an empty text if all is well.
Check = Callable[[], Awaitable[str]]


def page_check(url: str, *, host: str) -> Check:
    """Whether the service that listens on this host answers /readyz with 200."""
    # The services listen on every address where the host is one of these.
    address = urlsplit(url)
    return partial(
        _readyz,
        "127.0.0.1" if host in ("0.0.0.0", "::", "") else host,
        address.port or 80,
        tls=address.scheme == "https",
    )


def server_check(name: str, sockets: Path) -> Check:
    """Whether PostgreSQL or Redis answers on its socket."""

    async def check() -> str:
        return "" if await asyncio.to_thread(ANSWERS[name], sockets) else "no answer"

    return check


async def wait_until_ready(checks: Mapping[str, Check], *, on_delay: Callable[[str], None]) -> None:
    """Return once nothing is wrong with any of them."""
    loop = asyncio.get_running_loop()
    tell_at = loop.time() + PATIENCE_SECONDS
    while missing := await _not_ready(checks):
        if loop.time() > tell_at:
            on_delay("; ".join(f"{name} is not ready yet: {problem}" for name, problem in missing.items()))
            tell_at = loop.time() + 4 * PATIENCE_SECONDS
        await asyncio.sleep(POLL_SECONDS)


def welcome(
    parts: Collection[str],
    urls: Mapping[str, str],
    for_others: Sequence[Mapping[str, str]] = (),
    *,
    seconds: float,
) -> str:
    """What is told when all is ready: the pages' addresses here, and those that phones and other machines need."""
    paragraphs = [f"  {subject(parts, 'is', 'are')} ready ({seconds:.1f} s)", *_addresses(urls)]
    if for_others:
        paragraphs.append("  for phones and other machines:")
        paragraphs += [paragraph for way in for_others for paragraph in _addresses(way)]
    paragraphs.append(f"  stop with Ctrl-C or {command('down', parts)}")
    return "\n{}\n".format("\n\n".join(paragraphs))


_PAGES = (
    ("vote at  ", "vote", ""),
    ("watch at ", "result", ""),
    ("look into", "result", "/pipeline"),
    ("graphs at", "prometheus", ""),
)


def _addresses(urls: Mapping[str, str]) -> list[str]:
    """One paragraph with the pages that are among these, or none."""
    lines = [f"    {what} {urls[part].rstrip('/')}{path}" for what, part, path in _PAGES if part in urls]
    return ["\n".join(lines)] if lines else []


async def _not_ready(checks: Mapping[str, Check]) -> dict[str, str]:
    problems = {}
    for name, check in checks.items():
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                problem = await check()
        except (OSError, TimeoutError):
            problem = "no answer"
        if problem:
            problems[name] = problem
    return problems


async def _readyz(host: str, port: int, *, tls: bool) -> str:
    reader, writer = await asyncio.open_connection(host, port, ssl=_unverified() if tls else None)
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status = head.split(b" ", 2)[1:2]
    return "" if status == [b"200"] else body.decode(errors="replace").strip() or "no answer"


def _unverified() -> "SSLContext":
    # Imported here, because most runs have no TLS. The certificate is for the name that people type, not for this host.
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
