"""The load test's page."""

import httpx

from tests.waiting import eventually_async


async def until_there(settings: dict[str, str], workers: int | None = None) -> None:
    """Wait for the page, and for its workers."""
    async with httpx.AsyncClient(timeout=5) as client:

        async def there() -> bool:
            now = (await client.get(f"http://127.0.0.1:{settings['LOADTEST_PORT']}/run.json")).json()
            return bool(now["workers"] == workers)

        await eventually_async(there, within=40, despite=(httpx.HTTPError,))
