"""Waits until the pages answer. Speaks HTTP by hand, because a client library would cost the supervisor megabytes."""

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

POLL_SECONDS = 0.05
ANSWER_SECONDS = 2.0
# After so long, say what is missing.
PATIENCE_SECONDS = 15.0


async def wait_until_ready(addresses: Mapping[str, str], *, host: str, on_delay: Callable[[str], None]) -> None:
    """Return once every service answers /readyz with 200."""
    loop = asyncio.get_running_loop()
    tell_at = loop.time() + PATIENCE_SECONDS
    while missing := await _not_ready(addresses, host):
        if loop.time() > tell_at:
            on_delay("; ".join(f"{name} is not ready yet: {problem}" for name, problem in missing.items()))
            tell_at = loop.time() + 4 * PATIENCE_SECONDS
        await asyncio.sleep(POLL_SECONDS)


async def _not_ready(addresses: Mapping[str, str], host: str) -> dict[str, str]:
    problems = {}
    for name, address in addresses.items():
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                problem = await _problem(host, urlsplit(address).port or 80)
        except (OSError, TimeoutError):
            problem = "no answer"
        if problem:
            problems[name] = problem
    return problems


async def _problem(host: str, port: int) -> str:
    """What /readyz says, an empty text if all is well."""
    # The services listen on every address where the host is one of these.
    reader, writer = await asyncio.open_connection("127.0.0.1" if host in ("0.0.0.0", "::", "") else host, port)
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status = head.split(b" ", 2)[1:2]
    return "" if status == [b"200"] else body.decode(errors="replace").strip() or "no answer"
