"""What every service tells its operators: health, readiness, metrics of requests and of the event loop's lag."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from quart import Blueprint, Quart, Response, g, request
from quart_schema import hide

CHECK_TIMEOUT_SECONDS = 1.5
LAG_INTERVAL_SECONDS = 0.25

REQUESTS = Counter("http_requests", "Answered requests.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "http_request_duration_seconds",
    "Time from a request's arrival to its answer.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
LAG_SECONDS = Histogram(
    "event_loop_lag_seconds",
    "How late the event loop woke a task, measured four times a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)

# clients may send any word as a method: all others share one label
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})

Check = Callable[[], Awaitable[None]]


@dataclass
class Health:
    """What readiness depends on: named checks, each of which raises an exception when it fails."""

    checks: Mapping[str, Check] = field(default_factory=dict)
    stopping: bool = False

    async def report(self) -> tuple[dict[str, object], bool]:
        """The answer of `/readyz`, and whether the service is ready."""
        names = list(self.checks)
        outcomes = await asyncio.gather(*(_outcome(self.checks[name]) for name in names))
        failing = {name: reason for name, reason in zip(names, outcomes, strict=True) if reason}
        if self.stopping:
            failing["service"] = "stopping"
        return {"ok": [name for name in names if name not in failing], "failing": failing}, not failing


async def _outcome(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_SECONDS} s"
    except Exception as error:  # the report is the place for any failure
        return str(error) or type(error).__name__
    return None


def health_routes(health: Health) -> Blueprint:
    """The three routes."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    @hide
    async def healthz() -> dict[str, str]:
        # checks no dependency: restarting this service would not fix Redis
        return {"status": "alive"}

    @routes.get("/readyz")
    @hide
    async def readyz() -> tuple[dict[str, object], int]:
        report, ready = await health.report()
        return report, 200 if ready else 503

    @routes.get("/metrics")
    @hide
    async def metrics() -> Response:
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    return routes


def count_requests(app: Quart) -> None:
    """Count and time every request by its route's template, never by its URL."""

    @app.before_request
    async def start_clock() -> None:
        g.started = time.perf_counter()

    @app.after_request
    async def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "unknown"
        method = request.method if request.method in METHODS else "other"
        note_request(method, route, response.status_code, time.perf_counter() - g.started)
        return response


def note_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count and time one request."""
    count, duration = _metrics_of(method, route, status)
    count.inc()
    duration.observe(seconds)


@cache  # looking up a label takes longer than counting
def _metrics_of(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, str(status)), REQUEST_SECONDS.labels(method, route)


async def measure_event_loop_lag() -> None:
    """Measure, for ever, how late the event loop is: everybody this process serves waits at least as long."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(LAG_INTERVAL_SECONDS)
        LAG_SECONDS.observe(max(0.0, time.perf_counter() - before - LAG_INTERVAL_SECONDS))
